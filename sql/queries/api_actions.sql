-- purpose: splits and dividends of tickers that no source withdrew, the newest first
-- parameters: market, tickers (null: all), start, end, rows
select ticker, time, kind, value
from (
    select market, ticker, time, 'split' as kind, ratio as value from splits where withdrawn_at is null
    union all
    select market, ticker, time, 'dividend', amount from dividends where withdrawn_at is null
) as action
where market = %(market)s and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
order by time desc, ticker, kind
limit %(rows)s
