-- purpose: what a run did to each ticker: status of its last attempt, sums of its counts
-- parameters: run_id, market, interval
select
    ticker, (array_agg(status order by load_id desc))[1], (array_agg(source order by load_id desc))[1],
    sum(inserted)::int, sum(updated)::int, sum(recomputed)::int,
    (array_agg(unchanged order by load_id desc))[1], max(quarantined)::int, (array_agg(error order by load_id desc))[1]
from load
where run_id = %s and market = %s and interval = %s
group by ticker
order by ticker
