-- purpose: the public tables and views with their columns, types and comments, as the reference page shows them
select
    relation.relname as relation, relation.relkind in ('v', 'm') as is_view, obj_description(relation.oid, 'pg_class') as about,
    array_agg(field.attname::text order by field.attnum) as names,
    array_agg(format_type(field.atttypid, field.atttypmod) order by field.attnum) as types,
    array_agg(col_description(relation.oid, field.attnum) order by field.attnum) as texts
from pg_class as relation
join pg_namespace as namespace on namespace.oid = relation.relnamespace
join pg_attribute as field on field.attrelid = relation.oid and field.attnum > 0 and not field.attisdropped
where namespace.nspname = 'public' and relation.relkind in ('r', 'p', 'v', 'm')
group by relation.oid, relation.relname, relation.relkind
order by relation.relname
