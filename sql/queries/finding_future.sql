-- purpose: series that are marked as loaded up to an instant in the future, by the database's clock
-- parameters: market, interval (null: all)
select market, interval, ticker, watermark
from series
where watermark > clock_timestamp() + interval '1 minute'
    and (%(market)s::text is null or market = %(market)s)
    and (%(interval)s::text is null or interval = %(interval)s)
order by market, interval, ticker
