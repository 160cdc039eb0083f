-- purpose: the stored series of some markets, intervals and tickers (an empty list means all) that reach a start
-- parameters: markets, intervals, tickers, start
select market, interval, ticker, first_time, last_time
from series
where
    (cardinality(%(markets)s::text[]) = 0 or market = any(%(markets)s::text[]))
    and (cardinality(%(intervals)s::text[]) = 0 or interval = any(%(intervals)s::text[]))
    and (cardinality(%(tickers)s::text[]) = 0 or ticker = any(%(tickers)s::text[]))
    and last_time >= %(start)s
order by market collate "C", interval collate "C", ticker
