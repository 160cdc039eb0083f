-- purpose: the bars of several tickers inside a window
-- parameters: relation, columns; tickers, start, end
select ticker, time, {columns}
from {relation}
where ticker = any(%(tickers)s::text[]) and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
order by ticker, time
