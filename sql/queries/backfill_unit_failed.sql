-- purpose: note that a unit failed as a whole; its tickers stay open
-- parameters: backfill_id, unit, error
update backfill_unit set state = 'failed', error = %(error)s, updated_at = clock_timestamp()
where backfill_id = %(backfill_id)s and unit = %(unit)s and state <> 'done'
