-- purpose: keep trading_session in step with the calendar
-- parameters: market; arrays of session, opens_at, closes_at
insert into trading_session as kept (market, session, opens_at, closes_at)
select %s, session, opens_at, closes_at
from unnest(%s::date[], %s::timestamptz[], %s::timestamptz[]) as given (session, opens_at, closes_at)
on conflict (market, session) do update
set opens_at = excluded.opens_at, closes_at = excluded.closes_at
where (kept.opens_at, kept.closes_at) is distinct from (excluded.opens_at, excluded.closes_at)
