-- purpose: tickers, newest bar and watermark of each market and interval, and what the load ledger counts of them
-- parameters: none
select
    held.market, held.interval, held.tickers, coalesce(loaded.bars, 0) as bars, held.last_bar, loaded.last_sync, held.watermark
from (
    select market, interval, count(*) as tickers, max(last_time) as last_bar, min(watermark) as watermark
    from series
    group by market, interval
) as held
left join (
    select market, interval, sum(inserted)::bigint as bars,
        max(loaded_at) filter (where status = 'loaded') as last_sync
    from load
    where status <> 'failed'
    group by market, interval
) as loaded using (market, interval)
order by held.market, held.interval
