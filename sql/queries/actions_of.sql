-- purpose: the corporate actions of a market, newest first; those their source withdrew say since when, refused ones why
-- parameters: market, tickers (null: all), start, end, limit
select ticker, time, kind, value, source, withdrawn_at, withdrawn_run, refused_because
from (
    select ticker, time, kind, value, source, withdrawn_at, withdrawn_run, null as refused_because
    from corporate_actions where market = %(market)s
    union all
    select ticker, time, kind, nullif(value, 'nan'), source, null, null, reason
    from action_change where market = %(market)s and change = 'refused'
) as action
where time >= %(start)s::timestamptz and time < %(end)s::timestamptz
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
order by time desc, ticker, kind
limit %(limit)s
