-- purpose: entries of the load ledger, the newest first
-- parameters: markets, interval, tickers, run_id, status, load_id (null: all), after_load_id (null: from the newest), rows
select
    load_id, run_id, market, interval, ticker, attempt, source, window_start, window_end, status, fetched, inserted,
    updated, recomputed, unchanged, quarantined, duplicates, expected, missing, first_changed, last_changed,
    provisional_from, error, code_version, seconds, loaded_at
from load
where market = any(%(markets)s::text[])
    and (%(interval)s::text is null or interval = %(interval)s::text)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
    and (%(run_id)s::text is null or run_id = %(run_id)s::text)
    and (%(status)s::text is null or status = %(status)s::text)
    and (%(load_id)s::bigint is null or load_id = %(load_id)s::bigint)
    and (%(after_load_id)s::bigint is null or load_id < %(after_load_id)s::bigint)
order by load_id desc
limit %(rows)s
