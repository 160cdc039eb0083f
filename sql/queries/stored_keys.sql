-- purpose: which of some (ticker, time) keys are stored
-- parameters: relation; arrays of tickers and times; first, last (the times' span)
select bar.ticker, bar.time
from unnest(%(tickers)s::text[], %(times)s::timestamptz[]) as given (ticker, time)
join {relation} as bar on bar.ticker = given.ticker and bar.time = given.time
where bar.ticker = any(%(tickers)s::text[]) and bar.time >= %(first)s and bar.time <= %(last)s
