-- purpose: let pg_dump read what this transaction reads
select pg_export_snapshot()
