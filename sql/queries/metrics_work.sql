-- purpose: units of work by kind and whether who holds them lives, and workers and streams by kind and state
-- parameters: lease (of workers that told none), stream_lease (the same of streams)
with held as (
    select
        claim.kind, claim.worker_id,
        hypertape.is_silent(beat, %(lease)s) as expired
    from claim left join worker_heartbeat as beat using (worker_id)
    where claim.state = 'running'
)
select 'claims' as what, kind, case when expired then 'expired' else 'held' end as state, count(*) as number
from held
group by kind, expired
union all
select
    'workers', beat.worker_type,
    case
        when hypertape.is_silent(beat, %(lease)s) then 'dead'
        when exists (select from held where held.worker_id = beat.worker_id) then 'working'
        else 'idle'
    end as state, count(*)
from worker_heartbeat as beat
where beat.gone_at is null or exists (select from held where held.worker_id = beat.worker_id)
group by beat.worker_type, state
union all
select 'workers', 'stream', case when beat_at < clock_timestamp() - %(stream_lease)s then 'dead' else 'alive' end, count(*)
from stream_worker
group by 3
order by 1, 2, 3
