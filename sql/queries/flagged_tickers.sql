-- purpose: which of some tickers have flagged bars
-- parameters: market, interval, tickers
select distinct ticker from bar_flag
where market = %(market)s and interval = %(interval)s and ticker = any(%(tickers)s)
