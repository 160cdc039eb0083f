-- purpose: rows the gate refused, the newest first
-- parameters: markets, interval, tickers, rule, run_id (null: all), open, after_quarantine_id (null: from the newest), rows
select
    quarantine_id, load_id, run_id, market, interval, ticker, time, rule, value, source, row_text, quarantined_at,
    released_at
from quarantine
where market = any(%(markets)s::text[])
    and (%(interval)s::text is null or interval = %(interval)s::text)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and (%(rule)s::text is null or rule = %(rule)s::text)
    and (%(run_id)s::text is null or run_id = %(run_id)s::text)
    and (not %(open)s::boolean or released_at is null)
    and (%(after_quarantine_id)s::bigint is null or quarantine_id < %(after_quarantine_id)s::bigint)
order by quarantine_id desc
limit %(rows)s
