-- purpose: refused rows that wait for a decision, by rule
-- parameters: markets (array; null for all)
select
    market, interval, rule, count(*) as rows, count(distinct ticker) as tickers, min(quarantined_at) as oldest,
    max(quarantined_at) as newest, (array_agg(ticker || coalesce(' ' || value, '') order by quarantine_id desc))[1:3] as some
from public.quarantine
where released_at is null and (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
group by market, interval, rule
order by count(*) desc, market, interval, rule
