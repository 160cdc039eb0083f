-- purpose: the ranges of ticks whose candles wait for longer than a stream would let them
-- parameters: age
select count(*) as ranges, min(noted_at) as since, min(first_time) as first_tick, max(last_time) as last_tick
from tick_pending
where noted_at < clock_timestamp() - %(age)s::interval
having count(*) > 0
