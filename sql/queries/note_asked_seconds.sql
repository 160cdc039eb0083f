-- purpose: note how long the source took for the tickers of a batch
-- parameters: run_id, market, interval, window_start, tickers, attempt; seconds and calls (of each ticker)
update load set asked_seconds = %(seconds)s, calls = %(calls)s
where run_id = %(run_id)s and market = %(market)s and interval = %(interval)s and attempt = %(attempt)s
    and window_start = %(window_start)s and ticker = any(%(tickers)s)
