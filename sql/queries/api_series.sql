-- purpose: which series answer a question, and the newest load that changed each of them
-- parameters: markets, interval, tickers (null: all); pending is the newest load whose rollups are not refreshed yet
select
    series.market, series.ticker, series.first_time, series.last_time, changed.load_id, changed.loaded_at, waiting.pending,
    series.provisional_time
from series
left join (
    select market, max(load_id) as pending
    from rollup_pending
    where market = any(%(markets)s::text[]) and interval = %(interval)s
    group by market
) as waiting using (market)
left join lateral (
    select load_id, loaded_at
    from load
    where load.market = series.market and load.interval = series.interval and load.ticker = series.ticker
        and load.status = 'loaded' and load.inserted + load.updated + load.recomputed > 0
    order by load_id desc
    limit 1
) as changed on true
where series.market = any(%(markets)s::text[]) and series.interval = %(interval)s
    and (%(tickers)s::text[] is null or series.ticker = any(%(tickers)s::text[]))
