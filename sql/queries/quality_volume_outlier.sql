-- purpose: volumes beyond a multiple of the ticker's median over the window and some time before
-- parameters: relation, start, end, outlier_reach, outlier_factor, outlier_bars, tickers
with typical as (
    select ticker, percentile_cont(0.5) within group (order by volume) as median
    from {relation}
    where time >= {start} - {outlier_reach} and time < {end} and volume > 0
        and ({tickers} is null or ticker = any({tickers}))
    group by ticker
    having count(*) >= {outlier_bars}
)
select bar.ticker, bar.time, bar.volume, typical.median, round((bar.volume / typical.median)::numeric, 1)::float8 as times_median
from bar join typical on typical.ticker = bar.ticker
where bar.volume > {outlier_factor} * typical.median
