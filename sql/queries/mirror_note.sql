-- purpose: what one series of a mirror waits for
-- parameters: mirror, market, interval, ticker
select note_id, first_changed, last_changed
from mirror_outbox
where mirror = %s and market = %s and interval = %s and ticker = %s
