-- purpose: the tickers nobody knows: without bars, without a line in `symbols`, and whenever a source answered for them it
--   was to say that it has no such thing
-- parameters: market, tickers
select ticker
from unnest(%(tickers)s::text[]) as given (ticker)
where
    not exists (select from series where series.market = %(market)s and series.ticker = given.ticker)
    and not exists (select from symbols where symbols.market = %(market)s and symbols.ticker = given.ticker)
    and not exists (
        select from load
        where load.market = %(market)s and load.ticker = given.ticker
            and (
                load.status = 'loaded'
                or coalesce(load.error_kind, '') not in ('NoData', 'UnknownTicker', 'SourceFileMissing')
            )
    )
