-- purpose: add what one committed block of a unit did
-- parameters: migration_id, unit, reached, rows_read, inserted, updated, unchanged, refused, seconds
update migration_unit
set reached = coalesce(%(reached)s, reached), rows_read = rows_read + %(rows_read)s,
    inserted = inserted + %(inserted)s, updated = updated + %(updated)s, unchanged = unchanged + %(unchanged)s,
    refused = refused + %(refused)s, seconds = seconds + %(seconds)s, updated_at = clock_timestamp()
where migration_id = %(migration_id)s and unit = %(unit)s
