-- purpose: the first and the last bar that a run has changed
-- parameters: run_id, market, interval
select min(first_changed), max(last_changed)
from load
where run_id = %(run_id)s and market = %(market)s and interval = %(interval)s
