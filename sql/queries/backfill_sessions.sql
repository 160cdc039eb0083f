-- purpose: intraday bars of each ticker in each part of a plan: bars in sessions, sessions with bars, and sessions with
--   less than half of the bars that the ticker has in a session on average
-- parameters: relation, zone (the market's); tickers, start, end; arrays of sessions (dates) and of their parts
with due as materialized (
    select * from unnest(%(sessions)s::date[], %(parts)s::int[]) as due (session, part)
),
counted as (
    select ticker, (time at time zone {zone})::date as session, count(*) as bars
    from {relation}
    where time >= %(start)s and time < %(end)s and ticker = any(%(tickers)s)
    group by 1, 2
),
judged as (
    select ticker, part, bars, bars * 2 < avg(bars) over (partition by ticker) as thin
    from counted join due using (session)
)
select ticker, part, sum(bars)::bigint, count(*)::int, (count(*) filter (where thin))::int
from judged
group by ticker, part
