-- purpose: the parts of a pin that no longer read as they did
-- parameters: name
select width.interval, lost.ticker, lost.starts_at, lost.bars_pinned, lost.bars_now
from pin
cross join lateral unnest(pin.intervals) as width (interval)
cross join lateral hypertape.pin_lost(pin.name, width.interval) as lost
where pin.name = %(name)s
order by width.interval, lost.ticker, lost.starts_at
