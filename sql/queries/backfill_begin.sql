-- purpose: store a backfill's plan
-- parameters: run_id, fingerprint, market, interval, mode, window_start, window_end, tickers, source, reason, dry_run,
--   sessions, expected, present, missing, sessions_missing, sessions_thin, explained, calls, seconds_per_call,
--   timed_calls, planned_at
insert into backfill (
    run_id, fingerprint, market, interval, mode, window_start, window_end, tickers, source, reason, dry_run, sessions,
    expected, present, missing, sessions_missing, sessions_thin, explained, calls, seconds_per_call, timed_calls,
    planned_at
)
values (
    %(run_id)s, %(fingerprint)s, %(market)s, %(interval)s, %(mode)s, %(window_start)s, %(window_end)s, %(tickers)s,
    %(source)s, %(reason)s, %(dry_run)s, %(sessions)s, %(expected)s, %(present)s, %(missing)s, %(sessions_missing)s,
    %(sessions_thin)s, %(explained)s, %(calls)s, %(seconds_per_call)s, %(timed_calls)s, %(planned_at)s
)
returning backfill_id
