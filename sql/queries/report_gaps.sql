-- purpose: the gap ledger by reason: open entries, and how many were closed since an instant because their bars came
-- parameters: markets, intervals (arrays; null for all), since (null: none is counted as closed)
select
    market, interval, reason, count(*) filter (where closed_at is null) as gaps,
    count(distinct ticker) filter (where closed_at is null) as tickers,
    coalesce(sum(bars) filter (where closed_at is null), 0)::bigint as bars,
    min(start_time) filter (where closed_at is null) as first_gap,
    count(*) filter (where closed_at >= %(since)s::timestamptz and closed_reason = 'arrived') as arrived
from public.gap
where (closed_at is null or closed_at >= %(since)s::timestamptz)
    and (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
    and (%(intervals)s::text[] is null or interval = any(%(intervals)s::text[]))
group by market, interval, reason
order by market, interval, reason
