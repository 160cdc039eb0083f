-- purpose: the dividends and splits of a market, newest first; those their source withdrew say since when
-- parameters: market, tickers (null: all), start, end, limit
select ticker, time, kind, value, source, withdrawn_at, withdrawn_run
from (
    select ticker, time, 'dividend' as kind, amount as value, source, withdrawn_at, withdrawn_run from dividends
    where market = %(market)s and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
    union all
    select ticker, time, 'split', ratio, source, withdrawn_at, withdrawn_run from splits
    where market = %(market)s and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
) as action
where %(tickers)s::text[] is null or ticker = any(%(tickers)s::text[])
order by time desc, ticker, kind
limit %(limit)s
