-- purpose: the newest bars of each of several tickers inside a window, in one round trip
-- parameters: relation, columns; tickers, start, end, limit (null: all)
select bar.*
from unnest(%(tickers)s::text[]) as wanted (ticker)
cross join lateral (
    select ticker, time, {columns}
    from {relation}
    where ticker = wanted.ticker and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
    order by time desc
    limit %(limit)s
) as bar
order by bar.ticker, bar.time
