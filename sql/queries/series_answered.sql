-- purpose: of some series those that anybody but a run itself asked for and loaded since an instant, over all that a run's window
--   still lacks: from its start or the series' watermark to its end. Who asks another source, replays kept answers, or checks
--   nothing of what it loads (`unchecked_…`, which moves no watermark and publishes nothing), has not done it in the run's place
-- parameters: market, interval, tickers (array), run_id, since, start, end, sources (array)
select distinct load.ticker
from load
    left join series
        on series.market = load.market and series.interval = load.interval and series.ticker = load.ticker
where load.market = %(market)s and load.interval = %(interval)s and load.ticker = any(%(tickers)s)
    and load.run_id <> %(run_id)s and load.status = 'loaded' and load.loaded_at >= %(since)s
    and load.asked_seconds is not null and load.source = any(%(sources)s) and not starts_with(load.run_id, 'unchecked_')
    and load.window_start <= greatest(series.watermark, %(start)s) and load.window_end >= %(end)s
