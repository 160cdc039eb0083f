-- purpose: the restatements of a market, newest first
-- parameters: market, interval, tickers, state (each null: all), limit
select
    restatement_id, market, interval, ticker, source, state, direction, ratio, bars, first_changed, last_changed,
    found_run, found_load, found_at, checked, differing, checked_run, reread_run, reread_load, reread_from, reread_at, error,
    compared_from, stand_in, unread, tries
from restatement
where (%(market)s::text is null or market = %(market)s) and (%(interval)s::text is null or interval = %(interval)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[])) and (%(state)s::text is null or state = %(state)s)
order by found_at desc, restatement_id desc
limit %(limit)s
