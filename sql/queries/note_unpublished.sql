-- purpose: note from where on the stored bars of a series are no longer those that are published. In the order of tickers:
--   publishing takes the rows in it, too
-- parameters: load_ids
insert into published as kept (market, interval, ticker, changed_from)
select market, interval, ticker, least(first_changed, finalised)
from load
where load_id = any(%(load_ids)s) and (first_changed is not null or finalised is not null)
order by ticker
on conflict (market, interval, ticker) do update
set changed_from = least(kept.changed_from, excluded.changed_from)
