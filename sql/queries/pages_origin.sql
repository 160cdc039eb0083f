-- purpose: the loads that the bars of a window came with, with how many of its bars each wrote, the newest first
-- parameters: relation; ticker, start, end, rows
select
    load.load_id, load.run_id, load.source, load.attempt, load.status, load.window_start, load.window_end, load.fetched,
    load.inserted, load.updated, load.unchanged, load.quarantined, load.code_version, load.loaded_at, load.reason,
    held.bars, count(*) over () as total
from (
    select load_id, count(*) as bars
    from {relation}
    where ticker = %(ticker)s and time >= %(start)s::timestamptz and time < %(end)s::timestamptz
    group by load_id
) as held
join load using (load_id)
order by load.load_id desc
limit %(rows)s
