-- purpose: the time of a dual-write row in seconds since 1970 UTC; out of any range where it is no integer
-- parameters: none
case typeof(time) when 'integer' then time else -1000000000000000 end
