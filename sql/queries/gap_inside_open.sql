-- purpose: the open holes inside sessions
-- parameters: market, interval
select gap_id, ticker, start_time, end_time, bars, sessions, reason, detail
from gap
where market = %(market)s and interval = %(interval)s and closed_at is null and inside
order by ticker, start_time
