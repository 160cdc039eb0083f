-- purpose: the last attempt of every ticker of a run, failures first, then those with quarantined, missing, changed rows
-- parameters: run_id
select *, count(*) over (partition by status) as of_status
from (
    select distinct on (market, interval, ticker)
        market, interval, ticker, source, window_start, window_end, status, fetched, inserted, updated, recomputed,
        unchanged, quarantined, duplicates, expected, missing, first_changed, last_changed, error, code_version,
        seconds, loaded_at, count(*) over (partition by market, interval, ticker) as attempts
    from public.load
    where run_id = %(run_id)s
    order by market, interval, ticker, load_id desc
) as last_attempt
order by
    status <> 'failed', quarantined = 0, coalesce(missing, 0) = 0, updated = 0, market, interval, ticker
