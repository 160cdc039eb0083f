-- purpose: the newest ticks of a symbol, oldest first
-- parameters: symbol_id, start, before, rows
select tick_time as time, sequence, bid, ask, bid_volume, ask_volume, source
from (
    select
        tick_time, sequence, trim_scale(bid_price)::text as bid, trim_scale(ask_price)::text as ask,
        trim_scale(bid_volume)::text as bid_volume, trim_scale(ask_volume)::text as ask_volume, source
    from ticks
    where symbol_id = %(symbol_id)s and tick_time >= %(start)s and tick_time < %(before)s
    order by tick_time desc, sequence desc
    limit %(rows)s
) as newest
order by tick_time, sequence
