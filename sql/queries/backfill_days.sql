-- purpose: daily bars of each ticker in each part of a plan: bars, sessions with a bar, thin sessions (there are none)
-- parameters: relation; tickers, start, end; arrays of the openings that are judged and of their parts
with due as materialized (
    select * from unnest(%(opens)s::timestamptz[], %(parts)s::int[]) as due (time, part)
)
select ticker, part, count(*), count(*)::int, 0
from {relation} join due using (time)
where time >= %(start)s and time < %(end)s and ticker = any(%(tickers)s)
group by ticker, part
