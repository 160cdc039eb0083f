-- purpose: the sessions (their positions, from 1) in which some tickers have an intraday bar, each within its own span
-- parameters: bars relation; tickers, lows, highs (arrays); low, high (their extremes); firsts, lasts (arrays): the earliest
--   and the latest opening of a bar that belongs to each session
select asked.ticker, found.sessions
from unnest(%(tickers)s::text[], %(lows)s::timestamptz[], %(highs)s::timestamptz[]) as asked (ticker, low, high)
cross join lateral (
    select array_agg(distinct placed.session::bigint) as sessions
    from (
        select bar.time, width_bucket(bar.time, %(firsts)s::timestamptz[]) as session
        from {bars} as bar
        where bar.ticker = asked.ticker and bar.time >= asked.low and bar.time <= asked.high
            and bar.time >= %(low)s and bar.time <= %(high)s
    ) as placed
    where placed.session > 0 and placed.time <= (%(lasts)s::timestamptz[])[placed.session]
) as found
where found.sessions is not null
