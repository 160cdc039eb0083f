-- purpose: the series of a Stockula file, one row per spelling of the interval, and whether its dates are spelled alike
-- parameters: none
select
    symbol, interval, count(*), min(date), max(date), min(length(date)), max(length(date)), min(substr(date, 11, 1)),
    max(substr(date, 11, 1))
from price_history
where typeof(symbol) = 'text' and typeof(interval) = 'text'
group by symbol, interval
