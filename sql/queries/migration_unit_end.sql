-- purpose: end a unit as done or failed
-- parameters: migration_id, unit, state, error
update migration_unit
set state = %(state)s, error = %(error)s, updated_at = clock_timestamp()
where migration_id = %(migration_id)s and unit = %(unit)s
