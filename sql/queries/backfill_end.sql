-- purpose: end a backfill: done when every unit is; it comes back with the number of units that are not
-- parameters: backfill_id, now
with left_open as (
    select count(*) as units from backfill_unit where backfill_id = %(backfill_id)s and state <> 'done'
)
update backfill
set state = case when left_open.units = 0 then 'done' else 'failed' end, finished_at = %(now)s
from left_open
where backfill_id = %(backfill_id)s
returning left_open.units
