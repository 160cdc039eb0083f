-- purpose: those of some tickers that have no series but the one that is forgotten
-- parameters: market, interval, tickers
select ticker
from unnest(%(tickers)s::text[]) as given (ticker)
where not exists (
    select from series
    where series.market = %(market)s and series.ticker = given.ticker and series.interval <> %(interval)s
)
