-- purpose: the newest checked run of each market and interval, with its results counted
-- parameters: markets (array; null for all)
with newest as (
    select distinct on (market, interval) market, interval, run_id
    from public.quality_result
    where %(markets)s::text[] is null or market = any(%(markets)s::text[])
    order by market, interval, result_id desc
),
last_result as (
    select distinct on (result.market, result.interval, suite, expectation, target, window_start, window_end) result.*
    from newest join public.quality_result as result using (market, interval, run_id)
    order by result.market, result.interval, suite, expectation, target, window_start, window_end, result_id desc
)
select
    market, interval, run_id, count(*) as checks, max(checked_at) as checked_at, count(*) filter (where status = 'passed') as passed,
    coalesce(array_agg(distinct status) filter (where status not in ('passed', 'failed') and error is null), '{}') as others,
    count(*) filter (where status = 'failed' and severity = 'critical') as critical,
    count(*) filter (where status = 'failed' and severity = 'warning') as warnings,
    count(*) filter (where error is not null) as broken, count(*) filter (where status = 'not_evaluated' and error is null) as not_evaluated,
    coalesce(array_agg(expectation order by severity, result_id) filter (where status = 'failed' or error is not null), '{}') as names
from last_result
group by market, interval, run_id
order by market, interval
