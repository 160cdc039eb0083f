-- purpose: let the rollups and the mirrors follow what somebody wrote past hypertape; no load stands behind these notes
-- parameters: market, interval, ticker, first, last
with for_rollups as (
    insert into rollup_pending (load_id, market, interval, first_changed, last_changed)
    values (-(extract(epoch from clock_timestamp()) * 1000000)::bigint, %(market)s, %(interval)s, %(first)s, %(last)s)
)
insert into mirror_outbox as waiting (mirror, market, interval, ticker, first_changed, last_changed)
select mirror, %(market)s, %(interval)s, %(ticker)s, %(first)s, %(last)s
from mirror
where (mirror.markets = '{}' or %(market)s = any(mirror.markets))
    and (mirror.intervals = '{}' or %(interval)s = any(mirror.intervals))
on conflict (mirror, market, interval, ticker) do update
set
    note_id = excluded.note_id, first_changed = least(waiting.first_changed, excluded.first_changed),
    last_changed = greatest(waiting.last_changed, excluded.last_changed)
