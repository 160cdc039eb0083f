-- purpose: forget workers that have ended, and give back what they hold
-- parameters: workers (array)
with released as (
    update claim
    set state = 'released', ended_at = clock_timestamp()
    where worker_id = any(%(workers)s) and state = 'running'
)
delete from worker_heartbeat where worker_id = any(%(workers)s)
