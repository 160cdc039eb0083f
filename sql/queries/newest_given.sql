-- purpose: the newest stored bar, before an instant each, that one source gave of each of some tickers
-- parameters: bars relation; source; arrays tickers, befores; low, high (bounds in time, inclusive)
select wanted.name, newest.time
from unnest(%(tickers)s::text[], %(befores)s::timestamptz[]) as wanted (name, before)
cross join lateral (
    select bar.time
    from {bars} as bar
    join load on load.load_id = bar.load_id
    where bar.ticker = wanted.name and bar.time < wanted.before and bar.time >= %(low)s and bar.time <= %(high)s
        and load.source = %(source)s
    order by bar.time desc
    limit 1
) as newest
