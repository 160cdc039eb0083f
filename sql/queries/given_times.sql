-- purpose: the times of those stored bars of some tickers that one source each gave
-- parameters: bars relation; arrays tickers, sources; low, high (bounds in time, inclusive)
select bar.ticker, array_agg(bar.time)
from unnest(%(tickers)s::text[], %(sources)s::text[]) as wanted (name, source)
join {bars} as bar on bar.ticker = wanted.name
join load on load.load_id = bar.load_id and load.source = wanted.source
where bar.ticker = any(%(tickers)s::text[]) and bar.time >= %(low)s and bar.time <= %(high)s
group by bar.ticker
