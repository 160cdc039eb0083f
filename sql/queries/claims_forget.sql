-- purpose: drop claims that ended long ago, and workers that are silent as long and hold nothing, with their progress
-- parameters: older (interval)
with ended as (
    delete from claim where state <> 'running' and ended_at < clock_timestamp() - %(older)s
),
progress as (
    delete from sync_progress
    where status <> 'running' and coalesce(completed_at, started_at) < clock_timestamp() - %(older)s
)
delete from worker_heartbeat as beat
where last_heartbeat < clock_timestamp() - %(older)s
    and not exists (select from claim where claim.worker_id = beat.worker_id and state = 'running')
