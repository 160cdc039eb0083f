-- purpose: the series a mirror is behind in, the one that waits longest first
-- parameters: mirror
select market, interval, ticker
from mirror_outbox
where mirror = %s
order by noted_at, market, interval, ticker
