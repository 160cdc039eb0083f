-- purpose: the tickers of a relation that have bars
-- parameters: market, interval
select ticker from series where market = %s and interval = %s order by ticker
