-- purpose: the newest migration that ran
select coalesce(max(name) filter (where name like 'migrations/%'), 'none') from public.schema_migration
