-- purpose: former values of restated bars, in the order of the key
-- parameters: markets, interval, tickers (null: all), start, end; the key of the last row that was read (nulls at first), rows
select
    market, interval, ticker, time, open, high, low, close, volume, adjusted_close, load_id, replaced_by, valid_from,
    valid_to
from bar_revision
where market = any(%(markets)s::text[])
    and (%(interval)s::text is null or interval = %(interval)s::text)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
    and (
        %(after_market)s::text is null
        or (market, interval, ticker, time, replaced_by) > (
            %(after_market)s::text, %(after_interval)s::text, %(after_ticker)s::text, %(after_time)s::timestamptz,
            %(after_replaced_by)s::bigint
        )
    )
order by market, interval, ticker, time, replaced_by
limit %(rows)s
