-- purpose: what the load ledger counts of each market, interval, source and outcome; sums only grow but for what is forgotten
-- parameters: none
select
    market, interval, source, status, count(*) as loads, sum(fetched)::bigint as fetched, sum(inserted)::bigint as inserted,
    sum(updated)::bigint as updated, sum(recomputed)::bigint as recomputed, sum(unchanged)::bigint as unchanged,
    sum(quarantined)::bigint as quarantined, sum(duplicates)::bigint as duplicates, sum(seconds) as seconds,
    max(loaded_at) as last_load
from load
group by market, interval, source, status
order by market, interval, source, status
