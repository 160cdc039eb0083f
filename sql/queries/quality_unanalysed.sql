-- purpose: which of the tables that rules read have grown or changed so much since they were last analysed that the planner
--   knows nothing of them; the parts of a hypertable count for it
-- parameters: relations (regclass names), few (rows that may change unseen), share (of a table that may)
with part as (
    select wanted.oid as relation, wanted.oid as part from unnest(%(relations)s::regclass[]) as wanted (oid)
    union all
    select inhparent, inhrelid from pg_inherits where inhparent = any(%(relations)s::regclass[])
),
counted as (
    select
        part.relation, greatest(sum(class.reltuples) filter (where class.reltuples > 0), 0) as known,
        coalesce(sum(stat.n_mod_since_analyze), 0) as changed
    from part
    join pg_class as class on class.oid = part.part
    left join pg_stat_user_tables as stat on stat.relid = part.part
    group by part.relation
)
select class.oid::regclass::text
from counted join pg_class as class on class.oid = counted.relation
where counted.changed > %(few)s + %(share)s * counted.known and pg_has_role(class.relowner, 'usage')
order by 1
