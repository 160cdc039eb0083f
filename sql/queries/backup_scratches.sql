-- purpose: the databases that verifications restored into
select datname from pg_database where datname like %s order by datname
