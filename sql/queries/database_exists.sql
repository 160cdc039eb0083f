-- purpose: whether the server has a database
-- parameters: name
select 1 from pg_catalog.pg_database where datname = %s
