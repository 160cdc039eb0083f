-- purpose: the bars nearest after an instant of each of several tickers, as one row of arrays per ticker
-- parameters: bars relation, the arrays of the columns; arrays tickers, lows, highs (a ticker's bars lie in
--   (low, high]); low and high bound them all, so that chunks outside are never opened; bars (how many)
select wanted.name, found.*
from unnest(%(tickers)s::text[], %(lows)s::timestamptz[], %(highs)s::timestamptz[]) as wanted (name, low_time, high_time)
cross join lateral (
    select array_agg(time), {arrays}
    from (
        select time, open, high, low, close, volume, adjusted_close
        from {bars} as bar
        where bar.ticker = wanted.name and bar.time > wanted.low_time and bar.time <= wanted.high_time
            and bar.time >= %(low)s and bar.time <= %(high)s
        order by bar.time
        limit %(bars)s
    ) as nearest
    having count(*) > 0
) as found
