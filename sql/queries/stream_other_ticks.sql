-- purpose: the places of ticks whose key belongs to a stored tick that says something else
-- parameters: incoming; those of stream_incoming_ticks, first_time, last_time
select place - 1
from ({incoming}) as incoming
join bars.ticks as stored using (symbol_id, tick_time, sequence)
where stored.tick_time between %(first_time)s and %(last_time)s
    and (stored.bid_price, stored.ask_price, stored.bid_volume, stored.ask_volume)
        is distinct from (incoming.bid_price, incoming.ask_price, incoming.bid_volume, incoming.ask_volume)
