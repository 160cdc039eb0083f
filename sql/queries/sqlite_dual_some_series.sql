-- purpose: some series of a table of the dual-write schema, found by its index instead of a scan
-- parameters: table; tickers as a JSON array
select
    ticker, hex(ticker), count(*), min(iif(typeof(time) = 'integer', time, null)),
    max(iif(typeof(time) = 'integer', time, null))
from {table}
where typeof(ticker) = 'text' and ticker in (select value from json_each(?))
group by ticker
order by ticker
