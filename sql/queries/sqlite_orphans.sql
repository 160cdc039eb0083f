-- purpose: symbols of a Stockula table that stocks does not have, with their rows
-- parameters: table
select symbol, count(*) from {table} where symbol not in (select symbol from stocks) or symbol is null group by symbol
