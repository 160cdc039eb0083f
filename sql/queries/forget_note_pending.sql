-- purpose: let the rollups be refreshed over the span of some series that are about to go; no load stands behind these notes
-- parameters: market, interval, tickers
insert into rollup_pending (load_id, market, interval, first_changed, last_changed)
select -(extract(epoch from clock_timestamp()) * 1000000)::bigint, market, interval, first_time, last_time
from series
where market = %(market)s and interval = %(interval)s and ticker = any(%(tickers)s)
