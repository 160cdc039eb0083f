-- purpose: ask for a refresh of [start, end), as far as ticks are kept
-- parameters: start, end
insert into tick_pending (first_time, last_time)
select greatest(given.start, tick_state.dropped_before), given."end" - interval '1 microsecond'
from (select %s::timestamptz as start, %s::timestamptz as "end") as given, tick_state
where greatest(given.start, tick_state.dropped_before) < given."end"
