-- purpose: open entries of the gap ledger by reason
-- parameters: markets, intervals (arrays; null for all)
select market, interval, reason, count(*) as gaps, count(distinct ticker) as tickers, sum(bars) as bars, min(start_time) as first_gap
from public.gap
where closed_at is null
    and (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
    and (%(intervals)s::text[] is null or interval = any(%(intervals)s::text[]))
group by market, interval, reason
order by market, interval, reason
