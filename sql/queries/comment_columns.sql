-- purpose: say of every table, view and column of the warehouse that has no comment of its own what it is: the words are the same
--   wherever a name is (ticker, time, ma20), and a script's own `comment on` wins
-- parameters: the glossary as three arrays: relations (a name, or a pattern that matches it whole; '' for the relation's own comment
--   stands in names), names, texts; an entry that is earlier in it wins
with word as (
    select relation, name, text, position
    from unnest(%(relations)s::text[], %(names)s::text[], %(texts)s::text[]) with ordinality as w (relation, name, text, position)
),
thing as (
    select relation.oid, namespace.nspname, relation.relname, relation.relkind, 0 as number, '' as name,
        obj_description(relation.oid, 'pg_class') as told
    from pg_class as relation
    join pg_namespace as namespace on namespace.oid = relation.relnamespace
    where namespace.nspname in ('public', 'bars', 'published', 'hypertape') and relation.relkind in ('r', 'p', 'v', 'm')
    union all
    select relation.oid, namespace.nspname, relation.relname, relation.relkind, field.attnum, field.attname,
        col_description(relation.oid, field.attnum)
    from pg_class as relation
    join pg_namespace as namespace on namespace.oid = relation.relnamespace
    join pg_attribute as field on field.attrelid = relation.oid and field.attnum > 0 and not field.attisdropped
    where namespace.nspname in ('public', 'bars', 'published', 'hypertape') and relation.relkind in ('r', 'p', 'v', 'm')
)
select thing.nspname, thing.relname, thing.relkind::text, thing.name, chosen.text
from thing
left join lateral (
    select word.text from word
    where word.name = thing.name and (word.relation = '*' or thing.relname ~ ('^(' || word.relation || ')$'))
    order by word.position
    limit 1
) as chosen on true
where thing.told is null
order by thing.nspname, thing.relname, thing.number
