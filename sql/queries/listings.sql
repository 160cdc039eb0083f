-- purpose: what the lists say of tickers, those that are gone first
-- parameters: market, source, state (listed, delisted; each null: all), tickers (null: all), ours (only tickers of `symbols`)
select
    listing.market, listing.ticker, case when delisted_at is null then 'listed' else 'delisted' end as state,
    listing.source, listing.name, listing.kind, exchange, listing.first_seen, listing.last_seen, delisted_at, became
from listing
where (%(market)s::text is null or listing.market = %(market)s)
    and (%(source)s::text is null or source = %(source)s)
    and (%(state)s::text is null or (delisted_at is null) = (%(state)s = 'listed'))
    and (%(tickers)s::text[] is null or listing.ticker = any(%(tickers)s))
    and (
        not %(ours)s
        or exists (select from symbols where symbols.market = listing.market and symbols.ticker = listing.ticker)
    )
order by listing.market, delisted_at is null, listing.ticker, source
