-- purpose: count an attempt of every open gap that a run asked for; again for the same run counts nothing
-- parameters: market, interval, run_id, reasons, now
update gap
set attempts = attempts + 1, last_checked_at = %(now)s, healed_run = %(run_id)s
where market = %(market)s and interval = %(interval)s and closed_at is null and reason = any(%(reasons)s)
    and healed_run is distinct from %(run_id)s
    and exists (
        select from load
        where load.run_id = %(run_id)s and load.market = gap.market and load.interval = gap.interval
            and load.ticker = gap.ticker and load.window_start < gap.end_time and load.window_end > gap.start_time
    )
