-- purpose: rewrite entries of the gap ledger
-- parameters: arrays of gap_id, start_time, end_time, bars, sessions, reason, detail, attempts, found_run, found_at,
--   former_reason, changed_at, last_checked_at, healed_run, closed_at, closed_run, closed_reason
update gap
set
    start_time = given.start_time, end_time = given.end_time, bars = given.bars, sessions = given.sessions,
    reason = given.reason, detail = given.detail, attempts = given.attempts, found_run = given.found_run,
    found_at = given.found_at, former_reason = given.former_reason, changed_at = given.changed_at,
    last_checked_at = given.last_checked_at, healed_run = given.healed_run, closed_at = given.closed_at,
    closed_run = given.closed_run, closed_reason = given.closed_reason
from unnest(
    %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::int[], %s::text[], %s::text[], %s::int[], %s::text[],
    %s::timestamptz[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::text[], %s::text[]
) as given (
    gap_id, start_time, end_time, bars, sessions, reason, detail, attempts, found_run, found_at, former_reason, changed_at,
    last_checked_at, healed_run, closed_at, closed_run, closed_reason
)
where gap.gap_id = given.gap_id
