-- purpose: take those units that nobody works on: new ones, those that ended, and those whose worker is silent
-- parameters: kind, units (array), worker, lease (of workers that told none), since (units
--   that were done or failed at or after this instant stay so; null: all may be taken again), most (how many at most;
--   null: all)
-- A silent worker may have been frozen in the middle of its load, with its claims locked: these are passed over, not
-- waited for, until the server has ended its session (claims_check).
-- Each row says how many were wanted, and a row without a unit that none was had: another worker was faster by a moment,
-- and there may be more to take.
with abandoned as (
    select held.unit
    from claim as held
    where held.kind = %(kind)s and held.unit = any(%(units)s) and held.state = 'running'
        and not exists (
            select from worker_heartbeat as beat
            where beat.worker_id = held.worker_id and not hypertape.is_silent(beat, %(lease)s)
        )
    for update of held skip locked
),
wanted as (
    select given.unit
    from unnest(%(units)s::text[]) with ordinality as given (unit, place)
        left join claim on claim.kind = %(kind)s and claim.unit = given.unit
    where claim.unit is null
        or claim.state = 'released'
        or claim.state in ('done', 'failed') and (%(since)s::timestamptz is null or claim.ended_at < %(since)s)
        or given.unit in (select unit from abandoned)
    order by given.place
    limit %(most)s
),
taken as (
    insert into claim as held (kind, unit, worker_id, token, state, tries, taken_at)
    select %(kind)s, unit, %(worker)s, nextval('claim_token'), 'running', 1, clock_timestamp()
    from (select unit from wanted order by unit) as sorted
    on conflict (kind, unit) do update
    set
        worker_id = excluded.worker_id, token = excluded.token, state = 'running', taken_at = excluded.taken_at,
        tries = case when held.state = 'done' then 1 else held.tries + 1 end, ended_at = null, error = null
    where held.state = 'released'
        or held.state in ('done', 'failed') and (%(since)s::timestamptz is null or held.ended_at < %(since)s)
        or held.state = 'running' and not exists (
            select from worker_heartbeat as beat
            where beat.worker_id = held.worker_id and not hypertape.is_silent(beat, %(lease)s)
        )
    returning unit, token, tries
)
select unit, token, tries, (select count(*) from wanted) as wanted
from (select 1) as one left join taken on true
