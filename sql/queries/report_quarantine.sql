-- purpose: rows refused in a run's windows: by the run itself, or by an earlier one that met the same row
-- parameters: run_id, most (rows returned; `total` counts all)
select distinct
    refused.quarantine_id, refused.market, refused.interval, refused.ticker, refused.time, refused.rule, refused.value,
    refused.source, refused.row_text, refused.run_id, refused.quarantined_at, count(*) over () as total
from public.quarantine as refused
where refused.released_at is null and exists (
    select from public.load
    where load.run_id = %(run_id)s and load.market = refused.market and load.interval = refused.interval
        and load.ticker = refused.ticker and load.quarantined > 0
        and (refused.run_id = %(run_id)s or refused.time >= load.window_start and refused.time < load.window_end)
)
order by refused.rule, refused.market, refused.interval, refused.ticker, refused.time
limit %(most)s
