-- purpose: whether a tick that came twice is stored once
-- parameters: symbol, time (µs), sequence
select count(*) = 1
from bars.ticks as tick
join symbols using (symbol_id)
where symbols.ticker = %(symbol)s and symbols.market = 'stream'
    and tick.tick_time = 'epoch'::timestamptz + %(time)s * interval '1 microsecond' and tick.sequence = %(sequence)s
