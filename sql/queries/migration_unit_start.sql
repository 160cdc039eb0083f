-- purpose: note that a unit is being copied, unless somebody attempted it since it was listed; it comes back as it stands
-- parameters: migration_id, unit, attempts
update migration_unit
set state = 'running', attempts = attempts + 1, error = null, updated_at = clock_timestamp()
where migration_id = %s and unit = %s and attempts = %s and state <> 'done'
returning *
