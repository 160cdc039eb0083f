-- purpose: let `series` know the bars of some tickers that another program wrote
-- parameters: bars relation; market, interval, tickers
insert into series as kept (market, interval, ticker, first_time, last_time)
select %(market)s, %(interval)s, ticker, min(time), max(time)
from {bars}
where ticker = any(%(tickers)s)
group by ticker
on conflict (market, interval, ticker) do update
set
    first_time = least(kept.first_time, excluded.first_time), last_time = greatest(kept.last_time, excluded.last_time)
