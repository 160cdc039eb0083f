-- purpose: the tables and materialized views of ours, by schema and name; those of extensions are not, nor their schemas'
select nspname, relname
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'm') and relpersistence = 'p' and not relispartition
    and nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^(pg_|_timescaledb_|timescaledb_)'
    and not exists (
        select from pg_depend
        where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e'
    )
