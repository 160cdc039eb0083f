-- purpose: the series that loads after a cut-over changed, from which bar on, and how many loads did
-- parameters: load_id
select market, interval, ticker, min(first_changed) as first_changed, count(*) as loads
from load
where load_id > %s and status = 'loaded' and first_changed is not null
group by market, interval, ticker
order by market, interval, ticker
