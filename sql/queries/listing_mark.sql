-- purpose: mark tickers that a list has no more: since it last had them
-- parameters: market, source; arrays of ticker and of what became of it (null: nothing that is known)
update listing
set delisted_at = coalesce(delisted_at, last_seen), became = coalesce(given.became, listing.became)
from unnest(%(tickers)s::text[], %(became)s::text[]) as given (ticker, became)
where listing.market = %(market)s and listing.source = %(source)s and listing.ticker = given.ticker
