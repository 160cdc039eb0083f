-- purpose: the units of a migration, the longest first
-- parameters: migration_id, part (null: all), states (null: all)
select * from migration_unit
where migration_id = %(migration_id)s
    and (%(part)s::int is null or part = %(part)s) and (%(states)s::text[] is null or state = any(%(states)s))
order by planned desc nulls last, unit
