-- purpose: the gap ledger by reason: open entries, how many of their sessions had a row that was refused and how many lie
--   where the checks of completeness do not look (before the ticker's first bar), and how many entries were closed since an
--   instant because their bars came
-- parameters: markets, intervals (arrays; null for all), since (null: none is counted as closed)
select
    gap.market, gap.interval, reason, count(*) filter (where closed_at is null) as gaps,
    count(distinct ticker) filter (where closed_at is null) as tickers,
    coalesce(sum(sessions) filter (where closed_at is null), 0)::bigint as sessions,
    coalesce(sum(bars) filter (where closed_at is null), 0)::bigint as bars,
    coalesce(sum(sessions) filter (where closed_at is null and refused), 0)::bigint as refused,
    coalesce(
        sum(sessions) filter (where closed_at is null and coalesce(end_time <= series.first_time, true)), 0
    )::bigint as early,
    min(start_time) filter (where closed_at is null) as first_gap,
    count(*) filter (where closed_at >= %(since)s::timestamptz and closed_reason = 'arrived') as arrived
from public.gap left join public.series using (market, interval, ticker)
where (closed_at is null or closed_at >= %(since)s::timestamptz)
    and (%(markets)s::text[] is null or gap.market = any(%(markets)s::text[]))
    and (%(intervals)s::text[] is null or gap.interval = any(%(intervals)s::text[]))
group by gap.market, gap.interval, reason
order by gap.market, gap.interval, reason
