-- purpose: whether a late tick corrected the bar of its minute
-- parameters: symbol, time (µs)
select corrected_at is not null
from bars_1m
where symbol = %(symbol)s and timestamp = date_trunc('minute', 'epoch'::timestamptz + %(time)s * interval '1 microsecond')
