-- purpose: tickers that need attention most: failed loads and quarantined rows since an instant, and the failed checks of
--          each market's newest run that name them in their samples
-- parameters: since, markets (array; null for all), most
with newest as (
    select distinct on (market, interval) market, interval, run_id
    from public.quality_result
    order by market, interval, result_id desc
),
counted as (
    select
        result.market, result.interval, key.value ->> 'ticker' as ticker, 0 as failed_loads, 0 as quarantined,
        result.expectation as named_by
    from newest join public.quality_result as result using (market, interval, run_id)
    cross join jsonb_array_elements(result.sample) as key (value)
    where result.status = 'failed'
    union all
    select market, interval, ticker, count(*), 0, null
    from public.load
    where status = 'failed' and loaded_at >= %(since)s
    group by market, interval, ticker
    union all
    select market, interval, ticker, 0, count(*), null
    from public.quarantine
    where released_at is null and quarantined_at >= %(since)s
    group by market, interval, ticker
)
select
    market, interval, ticker, sum(failed_loads)::bigint as failed_loads, sum(quarantined)::bigint as quarantined,
    coalesce(array_agg(distinct named_by) filter (where named_by is not null), '{}') as named_by, count(*) over () as total
from counted
where ticker is not null and (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
group by market, interval, ticker
order by
    sum(failed_loads) desc, sum(quarantined) + count(distinct named_by) desc, market, interval, ticker
limit %(most)s
