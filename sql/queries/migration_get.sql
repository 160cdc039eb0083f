-- purpose: one migration
-- parameters: migration_id (null: the newest)
select * from migration
where %(migration_id)s::bigint is null or migration_id = %(migration_id)s
order by migration_id desc
limit 1
