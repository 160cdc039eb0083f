-- purpose: which of some spans hold a bar with volume of another interval
-- parameters: bars relation; tickers, lows, highs (arrays, both ends included); low, high (their extremes)
select asked.place
from unnest(%(tickers)s::text[], %(lows)s::timestamptz[], %(highs)s::timestamptz[]) with ordinality as asked (ticker, low, high, place)
where exists (
    select from {bars} as bar
    where bar.ticker = asked.ticker and bar.time >= asked.low and bar.time <= asked.high
        and bar.time >= %(low)s and bar.time <= %(high)s and bar.volume > 0
)
