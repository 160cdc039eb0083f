-- purpose: whether the database uses an extension
-- parameters: name
select 1 from pg_catalog.pg_extension where extname = %s
