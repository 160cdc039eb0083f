-- purpose: the series of a Stockula file, one row per spelling of the interval
-- parameters: none
select symbol, interval, count(*), min(date), max(date)
from price_history
where typeof(symbol) = 'text' and typeof(interval) = 'text'
group by symbol, interval
