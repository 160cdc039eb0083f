-- purpose: sessions without a bar that the gap ledger explains, by ticker and part of a plan
-- parameters: relation, zone (of the sessions' days); market, interval, tickers, explained (the reasons that excuse a
--   bar); arrays of sessions (dates) and of their parts
select gap.ticker, due.part, count(distinct due.session)::int
from public.gap join unnest(%(sessions)s::date[], %(parts)s::int[]) as due (session, part)
    on due.session >= (gap.start_time at time zone 'UTC')::date
    and due.session < (gap.end_time at time zone 'UTC' + interval '1 day' - interval '1 microsecond')::date
where gap.market = %(market)s and gap.interval = %(interval)s and gap.ticker = any(%(tickers)s)
    and gap.closed_at is null and gap.reason = any(%(explained)s)
    and not exists (
        select from {relation} as bar
        where bar.ticker = gap.ticker and bar.time >= due.session::timestamp at time zone {zone}
            and bar.time < (due.session + 1)::timestamp at time zone {zone}
    )
group by gap.ticker, due.part
