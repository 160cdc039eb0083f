-- purpose: whether this role may make others, whether it is a superuser, who owns the schema, and which of some roles there are
-- parameters: names
select
    mine.rolsuper or mine.rolcreaterole,
    owner.rolsuper,
    owner.rolname,
    array(select rolname from pg_roles where rolname = any(%s))
from pg_roles as mine
cross join pg_class as ledger
join pg_roles as owner on owner.oid = ledger.relowner
where mine.rolname = current_user and ledger.oid = 'public.schema_migration'::regclass
