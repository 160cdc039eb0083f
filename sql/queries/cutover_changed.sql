-- purpose: the series that loads after a cut-over changed, from which bar on
-- parameters: load_id
select market, interval, ticker, min(first_changed) as first_changed, max(load_id) as load_id
from load
where load_id > %s and status = 'loaded' and first_changed is not null
group by market, interval, ticker
order by market, interval, ticker
