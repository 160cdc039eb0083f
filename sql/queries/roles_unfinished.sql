-- purpose: what the writer or the reader may not do although it should
-- parameters: writer, reader
select unnest(array[
    case when relation <> 'public.api_key'::regclass and not has_table_privilege(%(reader)s, relation, 'select')
        then format('%%s for %%s', relation, %(reader)s) end,
    case when relation <> 'public.api_key'::regclass and not has_table_privilege(%(writer)s, relation, 'select')
        then format('%%s for %%s', relation, %(writer)s) end
]) as lacking
from hypertape.owned_relations()
where kind in ('r', 'v', 'm', 'p')
union all
select format('%%s for %%s', relation, %(writer)s)
from hypertape.owned_relations()
where kind in ('r', 'p') and not has_table_privilege(%(writer)s, relation, 'insert')
    and relation not in ('public.api_key'::regclass, 'public.schema_migration'::regclass, 'public.market'::regclass)
