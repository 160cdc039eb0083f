-- Who counts as living. A worker says with each beat how long its lease is; others judge it by that, not by their own:
-- kinds of work have leases of their own. `lease` counts for those that said nothing of it.
create or replace function hypertape.lease_of(beat worker_heartbeat, lease interval) returns interval
language sql immutable as $$
    select coalesce(($1.metadata ->> 'lease')::float8 * interval '1 second', $2)
$$;

-- Gone, silent for its lease, or never heard of (no row: all of it null).
create or replace function hypertape.is_silent(beat worker_heartbeat, lease interval) returns boolean
language sql volatile as $$
    select $1.worker_id is null or $1.gone_at is not null
        or $1.last_heartbeat < clock_timestamp() - coalesce(($1.metadata ->> 'lease')::float8 * interval '1 second', $2)
$$;
