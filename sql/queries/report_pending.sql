-- purpose: ranges whose rollups are older than their bars
-- parameters: markets, intervals (arrays; null for all)
select market, interval, count(*) as ranges, min(first_changed) as first_changed, max(last_changed) as last_changed
from public.rollup_pending
where (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
    and (%(intervals)s::text[] is null or interval = any(%(intervals)s::text[]))
group by market, interval
order by market, interval
