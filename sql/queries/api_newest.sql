-- purpose: the newest bars of several tickers before an instant, one row of arrays per ticker, newest first
-- parameters: relation, names (columns), arrays (aggregates of them); tickers, before, bars (how many of each)
select wanted.name, found.*
from unnest(%(tickers)s::text[]) as wanted (name)
cross join lateral (
    select array_agg(time) as times, {arrays}
    from (
        select time, {names}
        from {relation}
        where ticker = wanted.name and time < %(before)s::timestamptz
        order by time desc
        limit %(bars)s
    ) as bar
) as found
where found.times is not null
