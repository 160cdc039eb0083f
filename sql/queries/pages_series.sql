-- purpose: the series there are, by market, interval and ticker, and which of them hold made-up sample bars
-- parameters: markets, interval, tickers (null: all), part (what the ticker contains in any case; null: anything), after_market,
--             after_interval, after_ticker (nulls: from the first), rows
select
    market, interval, ticker, first_time, last_time, watermark,
    exists (
        select from load
        where (load.market, load.interval, load.ticker) = (series.market, series.interval, series.ticker)
            and load.source = 'sample' and load.status = 'loaded'
    ) as synthetic
from series
where market = any(%(markets)s::text[])
    and (%(interval)s::text is null or interval = %(interval)s::text)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and (%(part)s::text is null or strpos(upper(ticker), upper(%(part)s::text)) > 0)
    and (
        %(after_market)s::text is null
        or (market, interval, ticker) > (%(after_market)s::text, %(after_interval)s::text, %(after_ticker)s::text)
    )
order by market, interval, ticker
limit %(rows)s
