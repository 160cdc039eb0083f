-- purpose: runs of equal closes with trading in every bar, one row per run at its last bar
-- parameters: stale_bars
with placed as (
    select
        ticker, time, close, volume, previous_close, previous_volume,
        row_number() over (partition by ticker order by time) as place
    from bar
),
repeated as (
    select ticker, time, close, place - row_number() over (partition by ticker order by time) as run
    from placed
    where close = previous_close and volume > 0 and previous_volume > 0
)
select ticker, max(time) as time, min(time) as since, count(*) + 1 as bars, min(close) as close
from repeated
group by ticker, run
having count(*) >= {stale_bars} - 1
