-- purpose: the open restatements of the tickers a run has loaded, where their own source served them: while it is away it
--   cannot be asked
-- parameters: market, interval, run_id, sources
select restatement_id, ticker, source, state, compared_from
from restatement
where market = %(market)s and interval = %(interval)s and state in ('suspected', 'confirmed')
    and source = any(%(sources)s::text[])
    and exists (
        select from load
        where load.run_id = %(run_id)s and load.market = %(market)s and load.interval = %(interval)s
            and load.ticker = restatement.ticker and load.source = restatement.source
    )
order by ticker
