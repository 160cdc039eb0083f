-- purpose: tickers whose newest load failed, the newest failure first, among the newest 20 000 loads
-- parameters: rows
select load_id, run_id, market, interval, ticker, source, attempt, error, loaded_at, count(*) over () as total
from (
    select distinct on (market, interval, ticker) *
    from (select * from load order by load_id desc limit 20000) as newest
    order by market, interval, ticker, load_id desc
) as last_load
where status = 'failed'
order by load_id desc
limit %(rows)s
