-- purpose: of some tickers, those with daily bars that have a corporate action which stands, and the source of their newest load
-- parameters: market, tickers
select series.ticker, newest.source
from series
left join lateral (
    select source from load
    where load.market = series.market and load.interval = '1d' and load.ticker = series.ticker and status = 'loaded'
    order by load_id desc limit 1
) as newest on true
where series.market = %(market)s and series.interval = '1d' and series.ticker = any(%(tickers)s)
    and exists (
        select from corporate_actions as action
        where action.market = series.market and action.ticker = series.ticker and action.withdrawn_at is null
    )
order by series.ticker
