-- purpose: workers that are silent while they hold work, and streams that are silent
-- parameters: lease (of workers that told none, and of streams)
select
    claim.worker_id as worker, claim.kind, beat.hostname as host,
    beat.last_heartbeat as beat_at,
    count(*) as units, min(claim.taken_at) as since
from claim
left join worker_heartbeat as beat using (worker_id)
where claim.state = 'running' and hypertape.is_silent(beat, %(lease)s)
group by claim.worker_id, claim.kind, beat.hostname, beat.last_heartbeat
union all
select name, 'stream', host, beat_at, 0, started_at
from stream_worker
where beat_at < clock_timestamp() - %(lease)s
order by 1, 2
