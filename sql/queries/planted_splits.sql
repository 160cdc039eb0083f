-- purpose: the splits of a ticker inside a window
-- parameters: market, interval, ticker, start, end
select ratio from splits where market = %(market)s and ticker = %(ticker)s and time >= %(start)s and time < %(end)s
