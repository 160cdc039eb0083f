-- purpose: note the ranges whose rollups a load made stale
-- parameters: market, interval; arrays of load_id, first_changed, last_changed
insert into rollup_pending (market, interval, load_id, first_changed, last_changed)
select %s, %s, load_id, first_changed, last_changed
from unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) as given (load_id, first_changed, last_changed)
