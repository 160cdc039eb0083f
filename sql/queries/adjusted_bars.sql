-- purpose: the adjusted closes of a ticker, with the vendor's own
-- parameters: market, ticker, start, end, split_adjusted (null: seen from the closes)
select time, close, adjusted_close, factor, adjusted
from bars_adjusted(%(market)s, %(ticker)s, %(start)s::timestamptz, %(end)s::timestamptz, %(split_adjusted)s)
