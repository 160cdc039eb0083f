-- purpose: workers that have been silent for longer than the lease while they hold work, and streams that are silent
-- parameters: lease
select
    claim.worker_id as worker, claim.kind, beat.hostname as host,
    nullif(beat.last_heartbeat, '-infinity') as beat_at,  -- known to be dead: no beat to tell of
    count(*) as units, min(claim.taken_at) as since
from claim
left join worker_heartbeat as beat using (worker_id)
where claim.state = 'running' and coalesce(beat.last_heartbeat < clock_timestamp() - %(lease)s, true)
group by claim.worker_id, claim.kind, beat.hostname, beat.last_heartbeat
union all
select name, 'stream', host, beat_at, 0, started_at
from stream_worker
where beat_at < clock_timestamp() - %(lease)s
order by 1, 2
