-- purpose: how many bars of a ticker inside a window were restated
-- parameters: market, interval, ticker, start, end
select count(*)
from bar_revision
where market = %(market)s and interval = %(interval)s and ticker = %(ticker)s and time >= %(start)s and time < %(end)s
