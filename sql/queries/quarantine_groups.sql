-- purpose: refused rows by market, interval and rule, open and released ones counted
-- parameters: market, interval, tickers, rule, run_id (null: any)
select
    market, interval, rule, count(*) filter (where released_at is null) as open,
    count(*) filter (where outcome = 'loaded') as loaded, count(*) filter (where outcome = 'superseded') as superseded,
    count(distinct ticker) as tickers, min(quarantined_at) as oldest, max(quarantined_at) as newest,
    (array_agg(ticker || coalesce(' ' || value, '') order by released_at is null desc, quarantine_id desc))[1:2] as some
from public.quarantine
where (%(market)s::text is null or market = %(market)s) and (%(interval)s::text is null or interval = %(interval)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[])) and (%(rule)s::text is null or rule = %(rule)s)
    and (%(run_id)s::text is null or run_id = %(run_id)s)
group by market, interval, rule
order by market, interval, rule
