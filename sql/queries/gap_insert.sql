-- purpose: add entries to the gap ledger
-- parameters: market, interval; arrays of ticker, start_time, end_time, bars, sessions, reason, detail, attempts, found_run,
--   found_at, former_reason, changed_at, last_checked_at, healed_run, closed_at, closed_run, closed_reason
insert into gap (
    market, interval, ticker, start_time, end_time, bars, sessions, reason, detail, attempts, found_run, found_at,
    former_reason, changed_at, last_checked_at, healed_run, closed_at, closed_run, closed_reason
)
select %s, %s, given.*
from unnest(
    %s::text[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::int[], %s::text[], %s::text[], %s::int[], %s::text[],
    %s::timestamptz[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::text[], %s::text[]
) as given
