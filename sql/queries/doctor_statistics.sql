-- purpose: relations of ours of which the planner knows too little: many rows came or changed since they were last analysed;
--   the parts of a hypertable count for it
-- parameters: few (rows that may change unseen), share (of a relation that may)
with part as (
    select relation::oid as relation, relation::oid as part from hypertape.owned_relations() where kind in ('r', 'p')
    union all
    select inhparent, inhrelid from pg_inherits
    where inhparent in (select relation::oid from hypertape.owned_relations() where kind in ('r', 'p'))
)
select part.relation::regclass::text, sum(stat.n_mod_since_analyze)::bigint
from part
join pg_class as class on class.oid = part.part
join pg_stat_all_tables as stat on stat.relid = part.part
group by part.relation
having sum(stat.n_mod_since_analyze) > %(few)s + %(share)s * coalesce(sum(class.reltuples) filter (where class.reltuples > 0), 0)
order by 1
