-- purpose: the corporate actions of tickers that no source withdrew, the newest first
-- parameters: market, tickers (null: all), start, end, rows
select ticker, time, kind, value
from corporate_actions
where market = %(market)s and withdrawn_at is null
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
order by time desc, ticker, kind
limit %(rows)s
