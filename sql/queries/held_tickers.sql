-- purpose: the tickers of which bars are stored
-- parameters: markets, intervals (null: all)
select distinct ticker from series
where (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
    and (%(intervals)s::text[] is null or interval = any(%(intervals)s::text[]))
order by ticker
