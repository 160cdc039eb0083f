-- purpose: tickers, newest bar and oldest watermark of each market and interval
-- parameters: none
select market, interval, count(*) as tickers, max(last_time) as last_bar, min(watermark) as watermark
from series
group by market, interval
order by market, interval
