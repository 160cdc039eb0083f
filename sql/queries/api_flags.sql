-- purpose: flagged bars, the newest flags first
-- parameters: markets, interval, tickers, rule, start, end, after_flag_id (null: all), rows
select flag_id, load_id, market, interval, ticker, time, rule, value, flagged_at
from bar_flag
where market = any(%(markets)s::text[])
    and (%(interval)s::text is null or interval = %(interval)s::text)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and (%(rule)s::text is null or rule = %(rule)s::text)
    and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
    and (%(after_flag_id)s::bigint is null or flag_id < %(after_flag_id)s::bigint)
order by flag_id desc
limit %(rows)s
