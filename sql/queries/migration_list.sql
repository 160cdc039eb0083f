-- purpose: every migration and how far it is, the newest first
select
    migration.*, count(unit) as units, count(unit) filter (where unit.state = 'done') as done,
    coalesce(sum(unit.rows_read), 0)::bigint as rows_read
from migration left join migration_unit as unit using (migration_id)
group by migration.migration_id
order by migration.migration_id desc
