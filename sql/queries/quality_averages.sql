-- purpose: rows of a sample whose averages differ from a recomputation over the bars before; the sample is every
--          ticker's newest bar and others chosen by a hash that the run's id changes
-- parameters: relation, run_id, sampled_bars, longest_lookback, average_tolerance
with newest as (
    select ticker, max(time) as time from bar group by ticker
),
sampled as materialized (
    select bar.ticker, bar.time, bar.ma10, bar.ma20, bar.ma50, bar.ma100, bar.ma200
    from bar left join newest on newest.ticker = bar.ticker and newest.time = bar.time
    order by
        newest.ticker is null,
        hashtextextended(bar.ticker, hashtextextended({run_id}, extract(epoch from bar.time)::bigint))
    limit {sampled_bars} + (select count(*) from newest)
),
recomputed as (
    select sampled.*, past.*
    from sampled cross join lateral (
        select
            avg(close) filter (where place <= 10) as sql_ma10, avg(close) filter (where place <= 20) as sql_ma20,
            avg(close) filter (where place <= 50) as sql_ma50, avg(close) filter (where place <= 100) as sql_ma100,
            avg(close) as sql_ma200, count(*) as history
        from (
            select recent.close, row_number() over (order by recent.time desc) as place
            from (
                select earlier.time, earlier.close from {relation} as earlier
                where earlier.ticker = sampled.ticker and earlier.time <= sampled.time
                order by earlier.time desc limit {longest_lookback}
            ) as recent
        ) as placed
    ) as past
)
select
    ticker, time, history, average.name as average, average.stored, average.expected
from recomputed cross join lateral (
    values
        ('ma10', ma10, case when history >= 10 then sql_ma10 end), ('ma20', ma20, case when history >= 20 then sql_ma20 end),
        ('ma50', ma50, case when history >= 50 then sql_ma50 end), ('ma100', ma100, case when history >= 100 then sql_ma100 end),
        ('ma200', ma200, case when history >= 200 then sql_ma200 end)
) as average (name, stored, expected)
where (average.stored is null) <> (average.expected is null)
    or abs(average.stored - average.expected) > {average_tolerance} * abs(average.expected)
