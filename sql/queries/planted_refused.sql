-- purpose: a refused row of a ticker inside a window
-- parameters: market, interval, ticker, start, end
select rule, time
from quarantine
where market = %(market)s and interval = %(interval)s and ticker = %(ticker)s and time >= %(start)s and time < %(end)s
limit 1
