-- purpose: bars of each ticker inside the window, and where its series begins and ends
-- parameters: relation, market, interval, start, end, tickers
select series.ticker, series.first_time, series.last_time, coalesce(counted.bars, 0) as bars
from public.series left join (
    select ticker, count(*) as bars from {relation}
    where time >= {start} and time < {end} and ({tickers} is null or ticker = any({tickers}))
    group by ticker
) as counted on counted.ticker = series.ticker
where series.market = {market} and series.interval = {interval} and ({tickers} is null or series.ticker = any({tickers}))
