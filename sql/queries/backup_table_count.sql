-- purpose: about how many tables pg_dump reads: chunks too
select count(*)
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where relkind = 'r' and relpersistence = 'p' and nspname not in ('pg_catalog', 'information_schema')
