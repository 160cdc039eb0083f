-- purpose: the owner of the schema, where it is another role than this one and this one may act as it
select owner.rolname
from pg_class as ledger join pg_roles as owner on owner.oid = ledger.relowner
where ledger.oid = 'public.schema_migration'::regclass and owner.rolname <> current_user
    and pg_has_role(owner.oid, 'member')
