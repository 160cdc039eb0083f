-- purpose: bars of the window that lie where their ticker has a series of another interval: what a comparison of both sees
-- parameters: relation, market, other, start, end, tickers
select count(*) as pairs
from {relation} as bar join public.series as other
    on other.market = {market} and other.interval = {other} and other.ticker = bar.ticker
        and bar.time > other.first_time - interval '1 day' and bar.time < other.last_time + interval '1 day'
where bar.time >= {start} and bar.time < {end} and ({tickers} is null or bar.ticker = any({tickers}))
