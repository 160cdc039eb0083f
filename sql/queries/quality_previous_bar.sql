-- purpose: rows whose previous_close or previous_volume is not that of the bar before; the window's first bar of a
--          ticker is compared with the bar before the window
-- parameters: relation, start
with ordered as (
    select
        ticker, time, previous_close, previous_volume, lag(close) over series as close_before,
        lag(volume) over series as volume_before, row_number() over series as place
    from bar
    window series as (partition by ticker order by time)
),
suspect as materialized (
    select * from ordered
    where place = 1 or (previous_close, previous_volume) is distinct from (close_before, volume_before)
)
select
    suspect.ticker, suspect.time, suspect.previous_close, coalesce(suspect.close_before, before.close) as close_before,
    suspect.previous_volume, coalesce(suspect.volume_before, before.volume) as volume_before
from suspect left join lateral (
    select earlier.close, earlier.volume from {relation} as earlier
    where earlier.ticker = suspect.ticker and earlier.time < {start} order by earlier.time desc limit 1
) as before on suspect.place = 1
where suspect.place > 1
    or (suspect.previous_close, suspect.previous_volume) is distinct from (before.close, before.volume)
