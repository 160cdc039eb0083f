-- purpose: fail the units of workers that are silent, and say which
-- parameters: lease (silent for so long is dead), work (units taken longer ago than this are given up), error
update claim
set state = 'failed', error = %(error)s, ended_at = clock_timestamp()
where state = 'running' and taken_at < clock_timestamp() - %(work)s
    and not exists (
        select from worker_heartbeat as beat
        where beat.worker_id = claim.worker_id and beat.last_heartbeat >= clock_timestamp() - %(lease)s
    )
returning kind, unit, worker_id
