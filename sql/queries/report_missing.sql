-- purpose: sessions that are missing now, by ticker
-- parameters: rows (the window's bars), rule (a statement that reads `bar` and returns ticker and time), most
with bar as not materialized (
    {rows}
),
found as (
    {rule}
)
select
    ticker, count(*) as missing, min(time) as first_missing, max(time) as last_missing,
    (array_agg(time order by time))[1:8] as some, count(*) over () as tickers, sum(count(*)) over ()::bigint as total
from found
group by ticker
order by count(*) desc, ticker
limit {most}
