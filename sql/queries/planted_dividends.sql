-- purpose: the dividends of a ticker inside a window
-- parameters: market, interval, ticker, start, end
select amount from dividends where market = %(market)s and ticker = %(ticker)s and time >= %(start)s and time < %(end)s
