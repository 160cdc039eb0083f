-- purpose: note what changed between two lists
-- parameters: market, source, now, run_id; arrays of ticker, event, former, present
insert into listing_event (market, source, ticker, event, former, present, found_at, run_id)
select %(market)s, %(source)s, ticker, event, former, present, %(now)s, %(run_id)s
from unnest(%(tickers)s::text[], %(events)s::text[], %(formers)s::text[], %(presents)s::text[])
    as given (ticker, event, former, present)
