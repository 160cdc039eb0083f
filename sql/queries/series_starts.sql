-- purpose: where each series of a market and interval begins
-- parameters: market, interval
select ticker, first_time from public.series where market = %(market)s and interval = %(interval)s order by ticker
