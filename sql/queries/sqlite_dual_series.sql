-- purpose: the series of a table of the dual-write schema
-- parameters: table
select
    ticker, count(*), min(iif(typeof(time) = 'integer', time, null)), max(iif(typeof(time) = 'integer', time, null))
from {table}
where typeof(ticker) = 'text'
group by ticker
order by ticker
