-- purpose: the first tick of a window
-- parameters: start, end
select min(tick_time) from bars.ticks where tick_time >= %s and tick_time < %s
