-- purpose: what became of units, and who works on them
-- parameters: kind, units (array; null: all), lease (of workers that told none)
select
    claim.unit, claim.state, claim.worker_id, claim.token, claim.tries, claim.taken_at, claim.ended_at, claim.error,
    claim.state = 'running' and hypertape.is_silent(beat, %(lease)s) as silent
from claim left join worker_heartbeat as beat using (worker_id)
where claim.kind = %(kind)s and (%(units)s::text[] is null or claim.unit = any(%(units)s))
order by claim.unit
