-- purpose: the open entries of the gap ledger about sessions without a bar
-- parameters: market, interval
select
    gap_id, ticker, start_time, end_time, sessions, reason, detail, attempts, found_run, found_at, former_reason, changed_at,
    last_checked_at, healed_run
from gap
where market = %(market)s and interval = %(interval)s and closed_at is null and not inside
order by ticker, start_time
