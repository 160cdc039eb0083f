-- purpose: fail the units of workers that are silent, in `claim` and in `sync_progress`, and say which
-- parameters: lease (of workers that told none), leases (units taken longer ago than so many leases of who took them are
--   given up), error
-- What a frozen worker has locked is passed over, as in claims_take.
with dead as (
    select holder.worker_id, clock_timestamp() - %(leases)s * hypertape.lease_of(beat, %(lease)s) as since
    from (
        select worker_id from claim where state = 'running'
        union
        select worker_id from sync_progress where status = 'running'
    ) as holder
    left join worker_heartbeat as beat using (worker_id)
    where hypertape.is_silent(beat, %(lease)s)
),
progress as (
    update sync_progress
    set status = 'failed', error_message = %(error)s, completed_at = clock_timestamp()
    from dead
    where status = 'running' and sync_progress.worker_id = dead.worker_id and sync_progress.started_at < dead.since
),
given_up as (
    select claim.kind, claim.unit
    from claim join dead using (worker_id)
    where claim.state = 'running' and claim.taken_at < dead.since
    for update of claim skip locked
)
update claim
set state = 'failed', error = %(error)s, ended_at = clock_timestamp()
from given_up
where claim.kind = given_up.kind and claim.unit = given_up.unit
returning claim.kind, claim.unit, claim.worker_id
