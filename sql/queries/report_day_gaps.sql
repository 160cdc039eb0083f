-- purpose: open gaps of a market and interval that reach beyond an instant: sessions without a bar
-- parameters: market, interval, start
select ticker, start_time, end_time, reason
from public.gap
where market = %(market)s and interval = %(interval)s and closed_at is null and end_time > %(start)s and not inside
