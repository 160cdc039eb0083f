-- purpose: note a ticker that could not be fetched, or that a worker loaded in the run's place
-- parameters: run_id, market, interval, ticker, attempt, source, window_start, window_end, status, fetched, duplicates,
--   expected, missing, provisional_from, code_version, reason, finalised, answered_until, error, error_kind
insert into load (
    run_id, market, interval, ticker, attempt, source, window_start, window_end, status, fetched, duplicates,
    expected, missing, provisional_from, code_version, reason, finalised, answered_until, error, error_kind
)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
