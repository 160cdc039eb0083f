-- purpose: forget a worker that has ended, and give back what it holds
-- parameters: worker
with released as (
    update claim
    set state = 'released', ended_at = clock_timestamp()
    where worker_id = %(worker)s and state = 'running'
)
delete from worker_heartbeat where worker_id = %(worker)s
