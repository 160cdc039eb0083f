-- purpose: note that a run asked for open gaps, and count an attempt of those about which it was answered: a request that
--   failed says nothing, and an outage must not end healing. Again for the same run counts nothing
-- parameters: market, interval, run_id, reasons, now
update gap
set attempts = attempts + asked.answered, last_checked_at = %(now)s, healed_run = %(run_id)s
from (
    select gap_id, max(hypertape.is_answer(load)::int) as answered
    from gap join load
        on load.market = gap.market and load.interval = gap.interval and load.ticker = gap.ticker
        and load.window_start < gap.end_time and load.window_end > gap.start_time
    where gap.market = %(market)s and gap.interval = %(interval)s and gap.closed_at is null
        and gap.reason = any(%(reasons)s) and gap.healed_run is distinct from %(run_id)s
        and load.run_id = %(run_id)s and load.status <> 'skipped'
    group by gap_id
) as asked
where gap.gap_id = asked.gap_id
