-- purpose: add the ticks that are not stored yet
-- parameters: incoming; those of stream_incoming_ticks
insert into bars.ticks (symbol_id, tick_time, sequence, bid_price, ask_price, bid_volume, ask_volume, source)
select symbol_id, tick_time, sequence, bid_price, ask_price, bid_volume, ask_volume, source
from ({incoming}) as incoming
order by place
on conflict (symbol_id, tick_time, sequence) do nothing
