-- purpose: the openings that some tickers have, each within its own span
-- parameters: bars relation; tickers, lows, highs (arrays, both ends included); low, high (their extremes, for pruning)
select asked.ticker, found.times
from unnest(%(tickers)s::text[], %(lows)s::timestamptz[], %(highs)s::timestamptz[]) as asked (ticker, low, high)
cross join lateral (
    select array_agg(bar.time order by bar.time) as times
    from {bars} as bar
    where bar.ticker = asked.ticker and bar.time >= asked.low and bar.time <= asked.high
        and bar.time >= %(low)s and bar.time <= %(high)s
) as found
where found.times is not null
