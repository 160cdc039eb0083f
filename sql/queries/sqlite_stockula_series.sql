-- purpose: the symbols of a Stockula file with their span, whether their dates are spelled alike, and whether they have one
--   spelling of the interval (grouping by that too would sort the whole table)
-- parameters: none
select
    symbol, hex(symbol), min(interval), max(interval), count(*), min(date), max(date), min(length(date)), max(length(date))
from price_history
where typeof(symbol) = 'text' and typeof(interval) = 'text'
group by symbol
