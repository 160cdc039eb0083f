-- purpose: what some series of a mirror wait for
-- parameters: mirror, market, interval, tickers
select ticker, note_id, first_changed, last_changed
from mirror_outbox
where mirror = %s and market = %s and interval = %s and ticker = any(%s)
order by ticker
