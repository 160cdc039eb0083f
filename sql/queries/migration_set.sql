-- purpose: note how far a migration is; null leaves a value as it was
-- parameters: migration_id, state, refreshed, verified_at, finished_at
update migration
set state = coalesce(%(state)s, state), refreshed = coalesce(%(refreshed)s, refreshed),
    verified_at = coalesce(%(verified_at)s, verified_at), finished_at = coalesce(%(finished_at)s, finished_at)
where migration_id = %(migration_id)s
