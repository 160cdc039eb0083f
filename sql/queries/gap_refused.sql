-- purpose: when the rows of some tickers lie that wait in quarantine, and the rule they broke
-- parameters: market, interval, tickers
select ticker, time, min(rule)
from quarantine
where market = %(market)s and interval = %(interval)s and ticker = any(%(tickers)s) and time is not null and released_at is null
group by ticker, time
