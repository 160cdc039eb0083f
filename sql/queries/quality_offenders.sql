-- purpose: count what a rule finds and return its first few and all their tickers, in one execution; Great Expectations puts quality_rows in
--          the place of its batch, and adds no alias of its own to a statement with a join
-- parameters: rule (a statement that reads `bar`), sample_keys
with bar as not materialized (
    select * from {{batch}} as batch
),
found as materialized (
    {rule}
),
counted as (
    select count(*) as offenders, array_agg(distinct found.ticker) as tickers from found
)
select found.*, counted.offenders, counted.tickers
from found cross join counted
order by found.ticker, found.time
limit {sample_keys}
