-- purpose: what the warehouse holds of each market and interval; bars are counted in the load ledger, not in the bars
-- parameters: markets (array; null for all)
select
    series.market, market.title, series.interval, count(*) as tickers, min(series.first_time) as first_time,
    max(series.last_time) as last_time, min(series.last_time) as oldest_last, min(series.watermark) as watermark,
    (
        select coalesce(sum(inserted), 0)::bigint from public.load
        where load.market = series.market and load.interval = series.interval
    ) as bars,
    count(sample.ticker) > 0 as synthetic, count(sample.ticker) as synthetic_tickers,
    coalesce((array_agg(sample.ticker order by sample.ticker) filter (where sample.ticker is not null))[:5], '{}')
        as synthetic_named
from public.series
left join (
    select distinct market, interval, ticker from public.load where source = 'sample' and status = 'loaded'
) as sample on (sample.market, sample.interval, sample.ticker) = (series.market, series.interval, series.ticker)
join public.market on market.market = series.market
where %(markets)s::text[] is null or series.market = any(%(markets)s::text[])
group by series.market, market.title, series.interval
order by series.market, series.interval
