-- purpose: what the warehouse has of each ticker in each part of a plan, one row per (ticker, part) that has anything:
--   bars in sessions, sessions with bars, sessions with less than half of the ticker's usual bars, and sessions without
--   a bar that the gap ledger explains
-- parameters: relation, day (the session of a bar); market, interval, tickers, start, end; arrays of sessions (dates)
--   and of their parts; explained (the reasons that excuse a bar)
with due as materialized (
    select * from unnest(%(sessions)s::date[], %(parts)s::int[]) as due (session, part)
),
counted as (
    select ticker, {day} as session, count(*) as bars
    from {relation}
    where time >= %(start)s and time < %(end)s and ticker = any(%(tickers)s)
    group by 1, 2
),
judged as (
    select ticker, part, session, bars, bars * 2 < avg(bars) over (partition by ticker) as thin
    from counted join due using (session)
),
explained as (
    select gap.ticker, due.part, due.session
    from public.gap join due
        on due.session >= (gap.start_time at time zone 'UTC')::date
        and due.session < (gap.end_time at time zone 'UTC' + interval '1 day' - interval '1 microsecond')::date
    where gap.market = %(market)s and gap.interval = %(interval)s and gap.ticker = any(%(tickers)s)
        and gap.closed_at is null and gap.reason = any(%(explained)s)
    except
    select ticker, part, session from judged
),
both_sides as (
    select ticker, part, bars, 1 as there, thin::int as thin, 0 as explained from judged
    union all
    select ticker, part, 0, 0, 0, 1 from explained
)
select ticker, part, sum(bars)::bigint, sum(there)::int, sum(thin)::int, sum(explained)::int
from both_sides
group by ticker, part
