-- purpose: the tickers of a table of the dual-write schema, as text and as the bytes they are
-- parameters: table
select
    ticker, hex(ticker), count(*), min(iif(typeof(time) = 'integer', time, null)),
    max(iif(typeof(time) = 'integer', time, null))
from {table}
where typeof(ticker) = 'text'
group by ticker
order by ticker
