-- purpose: bars that are missing inside sessions and that nothing explains, by ticker and part of a plan
-- parameters: market, interval, tickers, explained; starts, ends (arrays: the parts' windows, in order)
select gap.ticker, (part.number - 1)::int, sum(gap.bars)::int
from public.gap join unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) with ordinality as part (start_time, end_time, number)
    on gap.start_time >= part.start_time and gap.start_time < part.end_time
where gap.market = %(market)s and gap.interval = %(interval)s and gap.ticker = any(%(tickers)s)
    and gap.inside and gap.closed_at is null and gap.reason <> all(%(explained)s::text[])
group by 1, 2
