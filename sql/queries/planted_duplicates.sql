-- purpose: duplicates dropped while loading a ticker over a window
-- parameters: market, interval, ticker, start, end
select max(duplicates)
from load
where market = %(market)s and interval = %(interval)s and ticker = %(ticker)s
    and window_start < %(end)s and window_end > %(start)s
