-- purpose: intraday bars of each ticker in each part of a plan: bars in sessions, sessions with bars, and sessions with
--   less than half of the bars that the ticker has in a session on average. A bar's session is found by bisection among
--   the beginnings and ends of the sessions' days (odd places: inside one), which is a fifth of what a time zone takes
--   per bar; and ticker by ticker, so that nothing is sorted
-- parameters: relation, zone (the market's); tickers, start, end; arrays of sessions (dates) and of their parts
with due as materialized (
    select part, (2 * row_number() over (order by session) - 1)::int as place, edge.starts, edge.ends
    from unnest(%(sessions)s::date[], %(parts)s::int[]) as due (session, part)
    cross join lateral (
        select session::timestamp at time zone {zone} as starts, (session + 1)::timestamp at time zone {zone} as ends
    ) as edge
),
edges as materialized (
    select array_agg(edge.instant order by edge.place) as instants
    from due cross join lateral (values (due.starts, due.place), (due.ends, due.place + 1)) as edge (instant, place)
)
select wanted.ticker, judged.part, sum(judged.bars)::bigint, count(*)::int, (count(*) filter (where judged.thin))::int
from unnest(%(tickers)s::text[]) as wanted (ticker)
cross join lateral (
    select due.part, counted.bars, counted.bars * 2 < avg(counted.bars) over () as thin
    from (
        select width_bucket(time, (select instants from edges)) as place, count(*) as bars
        from {relation}
        where ticker = wanted.ticker and time >= %(start)s and time < %(end)s
        group by 1
    ) as counted join due using (place)
) as judged
group by wanted.ticker, judged.part
