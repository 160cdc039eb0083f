-- purpose: the newest finalised minutes of a symbol, newest first
-- parameters: symbol, limit
select symbol, timestamp, open, high, low, close, volume, vwap from bars_1m
where symbol = %s
order by timestamp desc
limit %s
