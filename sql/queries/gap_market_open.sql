-- purpose: which of some sessions hold a bar with volume of another interval; ten of the tickers that should have one are
--   asked, because looking for anybody's bar by time alone reads whole chunks
-- parameters: bars relation; market, interval (the other one); lows, highs (arrays, both ends included); low, high
select asked.place
from unnest(%(lows)s::timestamptz[], %(highs)s::timestamptz[]) with ordinality as asked (low, high, place)
where exists (
    select
    from (
        select ticker from series
        where market = %(market)s and interval = %(interval)s and first_time <= asked.high and last_time >= asked.low
        order by ticker
        limit 10
    ) as likely
    join {bars} as bar
        on bar.ticker = likely.ticker and bar.time >= asked.low and bar.time <= asked.high
        and bar.time >= %(low)s and bar.time <= %(high)s and bar.volume > 0
)
