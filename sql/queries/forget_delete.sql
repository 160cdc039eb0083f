-- purpose: remove the rows of a table that speak of some series, and count them by ticker
-- parameters: {table}, {condition}; market, interval, tickers, lonely
with gone as (delete from {table} where {condition} returning ticker)
select ticker, count(*) from gone group by ticker
