-- purpose: how many rows of a table speak of some series, by ticker
-- parameters: {table}, {condition}; market, interval, tickers, lonely
select ticker, count(*) from {table} where {condition} group by ticker
