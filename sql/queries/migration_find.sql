-- purpose: the newest migration of the same files and wishes that was more than a rehearsal
-- parameters: fingerprint
select migration_id, state from migration
where fingerprint = %s and not dry_run and state <> 'planning'
order by migration_id desc
limit 1
