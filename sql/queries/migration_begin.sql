-- purpose: open a migration
-- parameters: run_id, fingerprint, files, options, dry_run, inspected, started_at
insert into migration (run_id, fingerprint, files, options, dry_run, inspected, started_at)
values (%s, %s, %s, %s, %s, %s, %s)
returning migration_id
