-- purpose: sessions that are missing now, by ticker, with the gap ledger's reasons for them
-- parameters: rows (the window's bars), rule (a statement that reads `bar` and returns ticker and time), market, interval, most
with bar as not materialized (
    {rows}
),
found as (
    {rule}
)
select
    found.ticker, count(*) as missing, min(found.time) as first_missing, max(found.time) as last_missing,
    (array_agg(found.time order by found.time))[1:8] as some, count(*) over () as tickers,
    sum(count(*)) over ()::bigint as total,
    array_agg(distinct coalesce(gap.reason, 'not in the ledger') || coalesce(': ' || gap.detail, '')) as reasons
from found
left join public.gap
    on gap.market = {market} and gap.interval = {interval} and gap.ticker = found.ticker and gap.closed_at is null
    and gap.start_time < found.time + interval '1 day' and gap.end_time > found.time
group by found.ticker
order by count(*) desc, found.ticker
limit {most}
