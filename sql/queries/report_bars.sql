-- purpose: the stored values of a few bars
-- parameters: relation; tickers, times (arrays, one bar each)
select bar.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close
from unnest(%(tickers)s::text[], %(times)s::timestamptz[]) as wanted (ticker, time)
join {relation} as bar on bar.ticker = wanted.ticker and bar.time = wanted.time
