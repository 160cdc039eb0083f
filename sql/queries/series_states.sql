-- purpose: span and open bar of the stored series of some tickers
-- parameters: market, interval, tickers
select ticker, first_time, last_time, provisional_time
from series
where market = %s and interval = %s and ticker = any(%s)
