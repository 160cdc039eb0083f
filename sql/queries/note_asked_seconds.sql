-- purpose: note how long the source took for the tickers of a batch, and share its requests out among them: their sum is
--   right, whatever number of tickers a request asks for
-- parameters: run_id, market, interval, window_start, tickers, attempt; seconds (of each ticker), calls (of all together)
update load set
    asked_seconds = %(seconds)s,
    calls = %(calls)s::int * asked.place / asked.tickers - %(calls)s::int * (asked.place - 1) / asked.tickers
from (
    select ticker, place::int, count(*) over ()::int as tickers
    from unnest(%(tickers)s::text[]) with ordinality as given (ticker, place)
) as asked
where run_id = %(run_id)s and market = %(market)s and interval = %(interval)s and attempt = %(attempt)s
    and window_start = %(window_start)s and load.ticker = asked.ticker
