-- purpose: the first and the last bar of a stored interval
-- parameters: market, interval
select min(first_time), max(last_time) from series where market = %s and interval = %s
