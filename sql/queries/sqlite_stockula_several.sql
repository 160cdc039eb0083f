-- purpose: the series of the symbols of a Stockula file that have several intervals
-- parameters: symbols as a JSON array
select symbol, hex(symbol), interval, interval, count(*), min(date), max(date), min(length(date)), max(length(date))
from price_history
where typeof(interval) = 'text' and symbol in (select value from json_each(?))
group by symbol, interval
