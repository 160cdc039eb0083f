-- purpose: the oldest or newest candles of a symbol, oldest first
-- parameters: symbol_id, start, before, rows; {relation}: the view of a timeframe; {order}: asc for the
--   oldest, desc for the newest
select open_time, close_time, open, high, low, close, volume, tick_count
from (
    select
        open_time, close_time, trim_scale(open_price)::text as open, trim_scale(high_price)::text as high,
        trim_scale(low_price)::text as low, trim_scale(close_price)::text as close,
        trim_scale(volume)::text as volume, tick_count
    from {relation}
    where symbol_id = %(symbol_id)s and open_time >= %(start)s and open_time < %(before)s
    order by open_time {order}
    limit %(rows)s
) as chosen
order by open_time
