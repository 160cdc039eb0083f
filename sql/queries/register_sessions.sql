-- purpose: keep trading_session in step with the calendar, between the first and the last session given
-- parameters: market; arrays of sessions, opens_at, closes_at
with given as (
    select session, opens_at, closes_at
    from unnest(%(sessions)s::date[], %(opens_at)s::timestamptz[], %(closes_at)s::timestamptz[])
        as given (session, opens_at, closes_at)
),
gone as (
    delete from trading_session as kept
    where kept.market = %(market)s
        and kept.session between (select min(session) from given) and (select max(session) from given)
        and kept.session <> all (%(sessions)s::date[])
)
insert into trading_session as kept (market, session, opens_at, closes_at)
select %(market)s, session, opens_at, closes_at
from given
on conflict (market, session) do update
set opens_at = excluded.opens_at, closes_at = excluded.closes_at
where (kept.opens_at, kept.closes_at) is distinct from (excluded.opens_at, excluded.closes_at)
