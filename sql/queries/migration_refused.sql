-- purpose: how many rows of a migration were refused, or would be, by rule
-- parameters: migration_id
select rule, sum(rows::bigint)::bigint as rows
from migration_unit, jsonb_each_text(refused_rules) as refused (rule, rows)
where migration_id = %(migration_id)s
group by rule
order by rule
