-- purpose: every ticker of a run, the last attempts of its windows together; failures first, then those with
--   quarantined, missing, changed rows
-- parameters: run_id
with last_attempt as (
    select distinct on (market, interval, ticker, window_start)
        load.*, count(*) over (partition by market, interval, ticker, window_start) as attempts
    from public.load
    where run_id = %(run_id)s
    order by market, interval, ticker, window_start, load_id desc
),
by_ticker as (
    select
        market, interval, ticker, string_agg(distinct source, ', ' order by source) as source,
        min(window_start) as window_start, max(window_end) as window_end, count(*) as windows,
        case when bool_or(status = 'failed') then 'failed' when bool_or(status = 'loaded') then 'loaded' else 'skipped' end
            as status,
        sum(fetched)::bigint as fetched, sum(inserted)::bigint as inserted, sum(updated)::bigint as updated,
        sum(recomputed)::bigint as recomputed, sum(unchanged)::bigint as unchanged,
        sum(quarantined)::bigint as quarantined, sum(duplicates)::bigint as duplicates,
        sum(expected)::bigint as expected, sum(missing)::bigint as missing, min(first_changed) as first_changed,
        max(last_changed) as last_changed, string_agg(error, '; ' order by window_start) as error,
        max(code_version) as code_version, sum(seconds) as seconds, max(loaded_at) as loaded_at,
        max(attempts) as attempts
    from last_attempt
    group by market, interval, ticker
)
select *, count(*) over (partition by status) as of_status
from by_ticker
order by
    status <> 'failed', quarantined = 0, coalesce(missing, 0) = 0, updated = 0, market, interval, ticker
