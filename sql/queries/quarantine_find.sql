-- purpose: refused rows one by one, in the order they came
-- parameters: market, interval, tickers, rule, run_id, quarantine_id (null: any), open_only, most (null: all)
select * from public.quarantine
where (%(market)s::text is null or market = %(market)s) and (%(interval)s::text is null or interval = %(interval)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[])) and (%(rule)s::text is null or rule = %(rule)s)
    and (%(run_id)s::text is null or run_id = %(run_id)s)
    and (%(quarantine_id)s::bigint is null or quarantine_id = %(quarantine_id)s)
    and (released_at is null or not %(open_only)s)
order by market, interval, source, quarantine_id
limit %(most)s
