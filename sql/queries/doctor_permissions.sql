-- purpose: tables of the warehouse this role may not write
select coalesce(array_agg(format('%I.%I', schemaname, tablename) order by tablename), '{}')
from pg_tables
where schemaname = 'bars' and not has_table_privilege(format('%I.%I', schemaname, tablename), 'insert, update, delete')
