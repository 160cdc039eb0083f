-- purpose: note which critical checks hold some series where they are
-- parameters: market, interval, run_id, instant; arrays of ticker and of the checks' names (with commas)
update published
set held_at = %(instant)s, held_run = %(run_id)s, held_by = string_to_array(given.checks, ',')
from unnest(%(tickers)s::text[], %(checks)s::text[]) as given (ticker, checks)
where market = %(market)s and interval = %(interval)s and published.ticker = given.ticker
