-- purpose: note the ranges whose rollups a load made stale, and for every mirror the rows it has to receive
-- parameters: market, interval; arrays of ticker, load_id, first_changed, last_changed, last_written
with given as (
    select *
    from unnest(%(tickers)s::text[], %(load_ids)s::bigint[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[],
        %(last_written)s::timestamptz[]) as given (ticker, load_id, first_changed, last_changed, last_written)
),
for_rollups as (
    insert into rollup_pending (market, interval, load_id, first_changed, last_changed)
    select %(market)s, %(interval)s, load_id, first_changed, last_changed
    from given
)
insert into mirror_outbox as waiting (mirror, market, interval, ticker, load_id, first_changed, last_changed)
select mirror, %(market)s, %(interval)s, ticker, load_id, first_changed, last_written
from mirror
cross join given
where
    (mirror.markets = '{}' or %(market)s = any(mirror.markets))
    and (mirror.intervals = '{}' or %(interval)s = any(mirror.intervals))
on conflict (mirror, market, interval, ticker) do update
set
    note_id = excluded.note_id, load_id = excluded.load_id,
    first_changed = least(waiting.first_changed, excluded.first_changed),
    last_changed = greatest(waiting.last_changed, excluded.last_changed)
