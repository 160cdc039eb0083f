-- purpose: the finalised minutes of a symbol that open in [start, end)
-- parameters: symbol, start, end
select symbol, timestamp, open, high, low, close, volume, vwap from bars_1m
where symbol = %s and timestamp >= %s and timestamp < %s
order by timestamp
