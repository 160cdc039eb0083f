-- purpose: compare a window of a rollup with its bars; the first row counts, up to ten rows name differing buckets
-- parameters: bars (a stored relation, or a finer rollup that equals it), rollup relation, bucket expression; start, end
with expected as (
    select
        ticker, {bucket} as time, (array_agg(open order by time))[1] as open, max(high) as high, min(low) as low,
        (array_agg(close order by time desc))[1] as close, sum(volume) as volume
    from {bars}
    where time >= %(start)s and time < %(end)s
    group by 1, 2
),
compared as (
    select
        coalesce(expected.ticker, found.ticker) as ticker, coalesce(expected.time, found.time) as time,
        (expected.open, expected.high, expected.low, expected.close)
            is distinct from (found.open, found.high, found.low, found.close)
        or expected.volume is null or found.volume is null
        or abs(expected.volume - found.volume) > 1e-12 * abs(expected.volume) as differs
    from expected
    full join (select * from {rollup} where time >= %(start)s and time < %(end)s) as found
        on found.ticker = expected.ticker and found.time = expected.time
),
counted as (select count(*) as buckets, count(*) filter (where differs) as differing from compared),
sampled as (select ticker, time from compared where differs order by ticker, time limit 10)
select buckets, differing, ticker, time from counted left join sampled on true
