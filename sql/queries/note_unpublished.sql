-- purpose: note from where on the stored bars of a series are no longer those that are published; what was never published
--   has nothing that is. In the order of tickers: publishing takes the rows in it, too
-- parameters: load_ids
insert into published as kept (market, interval, ticker, changed_from)
select market, interval, ticker, '-infinity'
from load
where load_id = any(%(load_ids)s) and (first_changed is not null or finalised is not null)
order by ticker
on conflict (market, interval, ticker) do update
set
    changed_from = least(
        kept.changed_from,
        (
            select least(load.first_changed, load.finalised) from load
            where load.load_id = any(%(load_ids)s) and load.ticker = kept.ticker
                and load.market = kept.market and load.interval = kept.interval
        )
    )
