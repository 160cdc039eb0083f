-- purpose: the span each ticker was asked for, by one run or (run_id null) ever
-- parameters: market, interval, run_id, tickers (null for all)
select ticker, min(window_start), max(window_end)
from load
where market = %(market)s and interval = %(interval)s and status <> 'skipped'
    and (%(run_id)s::text is null or run_id = %(run_id)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s))
group by ticker
