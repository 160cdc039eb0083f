-- purpose: runs with what they loaded and what their checks said, the newest first, among the newest 20 000 loads
-- parameters: markets, interval, runs (null: all), rows
with newest as (
    select *
    from load
    where market = any(%(markets)s::text[])
        and (%(interval)s::text is null or interval = %(interval)s::text)
        and (%(runs)s::text[] is null or run_id = any(%(runs)s::text[]))
    order by load_id desc
    limit 20000
),
last_attempt as (
    select distinct on (run_id, market, interval, ticker) *
    from newest
    order by run_id, market, interval, ticker, load_id desc
),
run as (
    select
        run_id, market, interval, max(load_id) as load_id, count(*) as tickers,
        count(*) filter (where status = 'failed') as failed, count(*) filter (where status = 'skipped') as skipped,
        sum(fetched)::bigint as fetched, sum(inserted)::bigint as inserted, sum(updated)::bigint as updated,
        sum(unchanged)::bigint as unchanged, sum(quarantined)::bigint as quarantined, sum(missing)::bigint as missing,
        min(window_start) as window_start, max(window_end) as window_end, max(loaded_at) as loaded_at,
        array_agg(distinct source order by source) as sources
    from last_attempt
    group by run_id, market, interval
    order by max(load_id) desc
    limit %(rows)s
)
select run.*, checked.*
from run
cross join lateral (
    select
        count(*) filter (where status = 'passed') as passed,
        coalesce(array_agg(distinct status) filter (where status not in ('passed', 'failed') and error is null), '{}') as others,
        count(*) as checks, count(*) filter (where status = 'failed' and severity = 'critical') as critical,
        count(*) filter (where status = 'failed' and severity = 'warning') as warnings,
        count(*) filter (where error is not null) as broken,
        count(*) filter (where status = 'not_evaluated' and error is null) as not_evaluated
    from quality_result as result
    where result.run_id = run.run_id and result.market = run.market and result.interval = run.interval
) as checked
order by run.load_id desc
