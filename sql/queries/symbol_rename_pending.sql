-- purpose: let the rollups be made anew over the span of a ticker's series, and its mirrors have it whole under its name
-- parameters: market, ticker
with mirrored as (
    insert into mirror_outbox as waiting (mirror, market, interval, ticker, first_changed, last_changed)
    select mirror, market, interval, ticker, first_time, last_time
    from series
    join mirror on
        (mirror.markets = '{{}}' or series.market = any(mirror.markets))
        and (mirror.intervals = '{{}}' or series.interval = any(mirror.intervals))
    where market = %(market)s and ticker = %(ticker)s
    on conflict (mirror, market, interval, ticker) do update
    set note_id = excluded.note_id, first_changed = excluded.first_changed, last_changed = excluded.last_changed
)
insert into rollup_pending (load_id, market, interval, first_changed, last_changed)
select
    -(extract(epoch from clock_timestamp()) * 1000000)::bigint - row_number() over (),
    market, interval, first_time, last_time
from series
where market = %(market)s and ticker = %(ticker)s
