-- purpose: workers, newest first: what each works on and how its series ended
-- parameters: lease (of workers that told none), everyone (those that ended well too)
with held as (
    select worker_id, kind, count(*) as units, min(taken_at) as since, array_agg(unit order by unit) as names
    from claim
    where state = 'running'
    group by worker_id, kind
),
busy as (
    select worker_id, sum(units) as units, min(since) as since, jsonb_object_agg(kind, names) as names
    from held
    group by worker_id
),
progress as (
    select
        worker_id,
        count(*) filter (where status = 'completed') as completed, count(*) filter (where status = 'failed') as failed,
        count(*) filter (where status = 'skipped') as skipped, max(completed_at) as last_ended
    from sync_progress
    group by worker_id
)
select
    beat.worker_id, beat.worker_type, beat.hostname, beat.metadata, beat.started_at,
    beat.last_heartbeat, beat.gone_at,
    case
        when not hypertape.is_silent(beat, %(lease)s)
            then case when busy.units > 0 then 'working' else 'idle' end
        when busy.units > 0 or beat.gone_at is null then 'dead'
        else 'ended'
    end as state,
    coalesce(busy.units, 0)::int as units, busy.since, coalesce(busy.names, '{}') as holds,
    coalesce(progress.completed, 0)::int as completed, coalesce(progress.failed, 0)::int as failed,
    coalesce(progress.skipped, 0)::int as skipped, progress.last_ended
from worker_heartbeat as beat left join busy using (worker_id) left join progress using (worker_id)
where %(everyone)s or busy.units > 0 or beat.gone_at is null
order by beat.started_at desc, beat.worker_id
