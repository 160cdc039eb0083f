-- purpose: the oldest or newest bars of several tickers between two instants: one row of arrays, each bar with its
--   ticker's place; nothing where there is no bar
-- parameters: relation, order (asc: the oldest, desc: the newest), names (columns, each after a comma), arrays (aggregates of
--   them, likewise); tickers, start, before, bars (how many of each; null: all)
select %(tickers)s::text[] as tickers, array_agg(wanted.place) as places, array_agg(bar.time) as times{arrays}
from unnest(%(tickers)s::text[]) with ordinality as wanted (ticker, place)
cross join lateral (
    select time{names}
    from {relation}
    where ticker = wanted.ticker and time >= %(start)s::timestamptz and time < %(before)s::timestamptz
    order by time {order}
    limit %(bars)s::bigint
) as bar
having count(*) > 0
