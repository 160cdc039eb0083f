-- purpose: fail the units of workers that are silent, in `claim` and in `sync_progress`, and say which
-- parameters: lease (silent for so long is dead), work (units taken longer ago than this are given up), error
-- What a frozen worker has locked is passed over, as in claims_take.
with dead as (
    select claim.worker_id from claim where claim.state = 'running'
    union
    select worker_id from sync_progress where status = 'running'
    except
    select worker_id from worker_heartbeat
    where gone_at is null and last_heartbeat >= clock_timestamp() - %(lease)s
),
progress as (
    update sync_progress
    set status = 'failed', error_message = %(error)s, completed_at = clock_timestamp()
    where status = 'running' and started_at < clock_timestamp() - %(work)s
        and worker_id in (select worker_id from dead)
),
given_up as (
    select claim.kind, claim.unit
    from claim
    where claim.state = 'running' and claim.taken_at < clock_timestamp() - %(work)s
        and claim.worker_id in (select worker_id from dead)
    for update of claim skip locked
)
update claim
set state = 'failed', error = %(error)s, ended_at = clock_timestamp()
from given_up
where claim.kind = given_up.kind and claim.unit = given_up.unit
returning claim.kind, claim.unit, claim.worker_id
