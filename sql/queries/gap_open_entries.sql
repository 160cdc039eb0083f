-- purpose: the open entries of the gap ledger
-- parameters: market, interval
select
    gap_id, ticker, start_time, end_time, sessions, reason, detail, attempts, found_run, found_at, former_reason, changed_at,
    last_checked_at, healed_run
from gap
where market = %(market)s and interval = %(interval)s and closed_at is null
order by ticker, start_time
