-- purpose: one unit of a migration
-- parameters: migration_id, unit
select * from migration_unit where migration_id = %(migration_id)s and unit = %(unit)s
