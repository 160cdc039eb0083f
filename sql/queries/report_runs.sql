-- purpose: the checks that failed or did not run in the newest runs of each market and interval, and those runs
-- parameters: since, markets (array; null for all), most (runs of a market and interval)
with run as (
    select market, interval, run_id, max(checked_at) as checked_at, max(result_id) as newest,
        row_number() over (partition by market, interval order by max(result_id) desc) as place
    from public.quality_result
    where checked_at >= %(since)s and (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
    group by market, interval, run_id
),
last_result as (
    select distinct on (market, interval, run_id, suite, expectation, target) result.*
    from public.quality_result as result join run using (market, interval, run_id)
    where place <= %(most)s
    order by market, interval, run_id, suite, expectation, target, result_id desc
)
select
    run.market, run.interval, run.run_id, run.checked_at, found.suite, found.expectation, found.target, found.severity,
    found.status, found.unexpected
from run left join last_result as found
    on found.market = run.market and found.interval = run.interval and found.run_id = run.run_id
        and (found.status = 'failed' or found.error is not null)
where place <= %(most)s
order by run.market, run.interval, run.newest
