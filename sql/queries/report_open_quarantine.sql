-- purpose: refused rows by rule: those that wait for a decision, and those that were released
-- parameters: markets (array; null for all)
select
    market, interval, rule, count(*) filter (where released_at is null) as rows,
    count(*) filter (where outcome = 'loaded') as loaded, count(*) filter (where outcome = 'superseded') as superseded,
    count(distinct ticker) filter (where released_at is null) as tickers,
    min(quarantined_at) filter (where released_at is null) as oldest,
    max(quarantined_at) filter (where released_at is null) as newest,
    coalesce(
        (array_agg(ticker || coalesce(' ' || value, '') order by quarantine_id desc) filter (where released_at is null))[1:3],
        '{}'
    ) as some
from public.quarantine
where %(markets)s::text[] is null or market = any(%(markets)s::text[])
group by market, interval, rule
order by count(*) filter (where released_at is null) desc, market, interval, rule
