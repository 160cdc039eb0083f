-- purpose: the dividends and splits of a market, newest first
-- parameters: market, ticker (null: all), start, end, limit
select ticker, time, kind, value
from (
    select ticker, time, 'dividend' as kind, amount as value from dividends
    where market = %(market)s and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
    union all
    select ticker, time, 'split', ratio from splits
    where market = %(market)s and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
) as action
where %(ticker)s::text is null or ticker = %(ticker)s
order by time desc, ticker, kind
limit %(limit)s
