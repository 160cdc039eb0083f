-- purpose: the oldest bars of several tickers inside a window, one row of arrays per ticker, oldest first
-- parameters: relation, names (columns), arrays (aggregates of them); tickers, start, before, bars (how many of each)
select wanted.name, found.*
from unnest(%(tickers)s::text[]) as wanted (name)
cross join lateral (
    select array_agg(time) as times, {arrays}
    from (
        select time, {names}
        from {relation}
        where ticker = wanted.name and time >= %(start)s::timestamptz and time < %(before)s::timestamptz
        order by time
        limit %(bars)s
    ) as bar
) as found
where found.times is not null
