-- purpose: what vendors changed after it was final, newest first
-- parameters: since, markets (array; null for all), most (rows returned; `total` counts all)
select
    market, interval, ticker, source, state, direction, ratio, bars, first_changed, last_changed, found_run, found_at,
    reread_run, count(*) over () as total
from public.restatement
where (found_at >= %(since)s or state in ('suspected', 'confirmed', 'disputed'))
    and (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
order by state in ('suspected', 'confirmed', 'disputed') desc, found_at desc, market, interval, ticker
limit %(most)s
