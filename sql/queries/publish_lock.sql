-- purpose: keep loads from changing what is noted of some series until the transaction ends; what they noted before is seen
--   by the next statement
-- parameters: market, interval, tickers
select ticker from published
where market = %(market)s and interval = %(interval)s and ticker = any(%(tickers)s)
order by ticker
for update
