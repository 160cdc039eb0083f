-- purpose: tickers that are loaded and that their lists have no more, by every list that knows them
-- parameters: market (null: all)
select
    market, ticker, max(delisted_at) as since, max(became) as became, array_agg(distinct source order by source) as sources
from listing
where (%(market)s::text is null or market = %(market)s)
    and exists (select from symbols where symbols.market = listing.market and symbols.ticker = listing.ticker)
group by market, ticker
having bool_and(delisted_at is not null)
order by market, ticker
