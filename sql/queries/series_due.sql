-- purpose: what becomes of some series in a round: `due`, `ended` in it, `running`, or `fresh`: anybody, a worker or a
--   run of any other kind, loaded it just now. Running ones are due again when their worker is dead.
--   First what somebody has begun, then what waits longest: no series is left behind where a round is too short for all
-- parameters: market, interval, tickers and units (arrays of one length), since (the round's begin), fresh (what was
--   loaded at or after this instant is fresh)
select
    given.ticker,
    case
        when claim.state = 'running' then 'running'
        when claim.state in ('done', 'failed') and claim.ended_at >= %(since)s then 'ended'
        when claim.state = 'done' and claim.ended_at >= %(fresh)s then 'fresh'
        when newest.status = 'loaded' and newest.loaded_at >= %(fresh)s then 'fresh'
        else 'due'
    end
from unnest(%(tickers)s::text[], %(units)s::text[]) with ordinality as given (ticker, unit, place)
    left join claim on claim.kind = 'series' and claim.unit = given.unit
    left join lateral (
        select load.status, load.loaded_at
        from load
        where load.market = %(market)s and load.interval = %(interval)s and load.ticker = given.ticker
            and load.status <> 'skipped'
        order by load.load_id desc
        limit 1
    ) as newest on true
order by coalesce(claim.state in ('running', 'released'), false) desc, claim.taken_at nulls first, given.place
