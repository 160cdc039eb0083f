-- purpose: bars of each ticker by month or day of UTC, with the ticker's first bar; of the ticker after the last one
--          that is counted only its name, which says that there are more
-- parameters: relation; market, interval, tickers (null: all), part (what the ticker contains in any case; null:
--             anything), after (null: from the first), rows, start, end, unit (month or day)
with chosen as (
    select ticker, first_time, row_number() over (order by ticker) as place
    from series
    where market = %(market)s and interval = %(interval)s
        and (%(tickers)s::text[] is null or ticker = any(%(tickers)s::text[]))
        and (%(part)s::text is null or strpos(upper(ticker), upper(%(part)s::text)) > 0)
        and (%(after)s::text is null or ticker > %(after)s::text)
    order by ticker
    limit %(rows)s::bigint + 1
)
select held.ticker, held.first_time, counted.bucket, coalesce(counted.bars, 0) as bars
from chosen as held
left join lateral (
    select
        to_char(
            date_trunc(%(unit)s, time at time zone 'UTC'), case %(unit)s when 'month' then 'YYYY-MM' else 'YYYY-MM-DD' end
        ) as bucket,
        count(*) as bars
    from {relation} as bar
    where bar.ticker = held.ticker and bar.time >= %(start)s::timestamptz and bar.time < %(end)s::timestamptz
        and held.place <= %(rows)s::bigint
    group by 1
) as counted on true
order by held.ticker
