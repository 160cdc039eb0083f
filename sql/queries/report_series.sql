-- purpose: the span of each series of a market and interval
-- parameters: market, interval
select ticker, first_time, last_time from public.series
where market = %(market)s and interval = %(interval)s
order by ticker
