-- purpose: the series whose watermark lies in the future: how many, the furthest one, and how far it reaches
select
    count(*), (array_agg(market || ' ' || interval || ' ' || ticker order by watermark desc, market, interval, ticker))[1],
    max(watermark)
from series
where watermark > clock_timestamp() + interval '1 minute'
