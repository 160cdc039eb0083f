-- purpose: what a run did to each ticker: the status of the last attempts of its windows (failed when one is), sums of its
--   counts
-- parameters: run_id, market, interval
with attempt as (
    select *, row_number() over (partition by ticker, window_start order by load_id desc) = 1 as is_last
    from load
    where run_id = %s and market = %s and interval = %s
)
select
    ticker,
    case
        when bool_or(is_last and status = 'failed') then 'failed'
        when bool_or(is_last and status = 'loaded') then 'loaded'
        else 'skipped'
    end,
    (array_agg(source order by load_id desc))[1], sum(inserted)::int, sum(updated)::int, sum(recomputed)::int,
    (sum(unchanged) filter (where is_last))::int, max(quarantined)::int,
    string_agg(error, '; ' order by window_start) filter (where is_last)
from attempt
group by ticker
order by ticker
