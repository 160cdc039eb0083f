-- purpose: entries of the gap ledger, the newest first
-- parameters: markets, interval, tickers, reason (null: all), open, after_gap_id (null: from the newest), rows
select
    gap_id, market, interval, ticker, start_time, end_time, sessions, bars, reason, detail, former_reason, found_run,
    found_at, attempts, last_checked_at, closed_at, closed_run, closed_reason
from gap
where market = any(%(markets)s::text[])
    and (%(interval)s::text is null or interval = %(interval)s::text)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and (%(reason)s::text is null or reason = %(reason)s::text)
    and (not %(open)s::boolean or closed_at is null)
    and (%(after_gap_id)s::bigint is null or gap_id < %(after_gap_id)s::bigint)
order by gap_id desc
limit %(rows)s
