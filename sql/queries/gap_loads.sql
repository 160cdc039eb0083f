-- purpose: the loads whose windows touch the missing sessions of some tickers, oldest first; answered: the provider said
--   what it has, be it nothing
-- parameters: market, interval; tickers, starts, ends (arrays)
select distinct
    load_id, load.ticker, load.window_start, least(load.window_end, load.provisional_from) as covers_to,
    load.status = 'loaded' or coalesce(load.error_kind, '') in ('NoData', 'UnknownTicker') as answered,
    left(load.error, 200) as error
from unnest(%(tickers)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) as missing (ticker, start_time, end_time)
join load
    on load.market = %(market)s and load.interval = %(interval)s and load.ticker = missing.ticker
    and load.window_start < missing.end_time and load.window_end > missing.start_time and load.status <> 'skipped'
order by load_id
