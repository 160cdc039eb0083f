-- purpose: the extensions of the database, with schema and version
select extname, nspname, extversion
from pg_extension
join pg_namespace on pg_namespace.oid = extnamespace
where extname <> 'plpgsql'
order by extname
