-- purpose: splits and dividends of tickers, the newest first
-- parameters: market, tickers (null: all), start, end, rows
select ticker, time, kind, value
from (
    select market, ticker, time, 'split' as kind, ratio as value from splits
    union all
    select market, ticker, time, 'dividend', amount from dividends
) as action
where market = %(market)s and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
order by time desc, ticker, kind
limit %(rows)s
