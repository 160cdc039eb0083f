-- purpose: since when tickers are listed no more, by every list that knows them
-- parameters: market, tickers
select ticker, max(delisted_at)
from listing
where market = %(market)s and ticker = any(%(tickers)s)
group by ticker
having bool_and(delisted_at is not null)
