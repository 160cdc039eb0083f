-- purpose: bars of each ticker by month or day of UTC, with the ticker's first bar
-- parameters: relation; market, interval, tickers (null: all), start, end, unit (month or day)
select held.ticker, held.first_time, counted.bucket, coalesce(counted.bars, 0) as bars
from series as held
left join lateral (
    select
        to_char(
            date_trunc(%(unit)s, time at time zone 'UTC'), case %(unit)s when 'month' then 'YYYY-MM' else 'YYYY-MM-DD' end
        ) as bucket,
        count(*) as bars
    from {relation} as bar
    where bar.ticker = held.ticker and bar.time >= %(start)s::timestamptz and bar.time < %(end)s::timestamptz
    group by 1
) as counted on true
where held.market = %(market)s and held.interval = %(interval)s
    and (%(tickers)s::text[] is null or held.ticker = any(%(tickers)s::text[]))
order by held.ticker
