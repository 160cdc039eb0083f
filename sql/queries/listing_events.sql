-- purpose: what changed in the lists, the newest first
-- parameters: market, source, since, tickers (each null: all)
select found_at, market, ticker, event, former, present, source, run_id
from listing_event
where (%(market)s::text is null or market = %(market)s)
    and (%(source)s::text is null or source = %(source)s)
    and (%(since)s::timestamptz is null or found_at >= %(since)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s) or former = any(%(tickers)s))
order by event_id desc
