-- purpose: which of the tables that rules read have grown or changed so much since they were last analysed that the planner
--   knows nothing of them; the parts of a hypertable count for it
-- parameters: relations (their names; one that is not there is left out), few (rows that may change unseen), share (of a table that may)
with wanted as (
    select to_regclass(name)::oid as relation from unnest(%(relations)s::text[]) as given (name)
    where to_regclass(name) is not null
),
part as (
    select relation, relation as part from wanted
    union all
    select inhparent, inhrelid from pg_inherits where inhparent in (select relation from wanted)
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
where counted.changed > %(few)s + %(share)s * counted.known
order by 1
