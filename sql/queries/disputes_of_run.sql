-- purpose: the disputes of the series that a source served in a run, itself again
-- parameters: market, interval, run_id, source
select restatement_id, ticker, source, compared_from
from restatement
where market = %(market)s and interval = %(interval)s and state = 'disputed' and source = %(source)s
    and exists (
        select from load
        where load.run_id = %(run_id)s and load.market = %(market)s and load.interval = %(interval)s
            and load.ticker = restatement.ticker and load.source = %(source)s and load.status = 'loaded' and load.fetched > 0
    )
order by ticker
