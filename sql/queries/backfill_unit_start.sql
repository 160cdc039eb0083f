-- purpose: note that a unit is being loaded, and with it that its backfill runs
-- parameters: backfill_id, unit
with begun as (
    update backfill set state = 'running' where backfill_id = %(backfill_id)s and state in ('planned', 'failed')
)
update backfill_unit
set state = 'running', attempts = attempts + 1, error = null, updated_at = clock_timestamp()
where backfill_id = %(backfill_id)s and unit = %(unit)s and state <> 'done'
