-- purpose: the newest result of every check of a run, critical ones first, failures before passes. Where a run was validated
--   again, perhaps over another window, only what its last validation said counts
-- parameters: run_id; market, interval (null for all)
select
    run_id, market, interval, suite, expectation, target, description, severity, status, evaluated, unexpected,
    sample, details, error, window_start, window_end, seconds, checked_at, known_at
from (
    select distinct on (market, interval, suite, expectation, target, window_start, window_end) *
    from (
        select *, max(known_at) over (partition by market, interval, suite) as validated_at
        from public.quality_result
        where run_id = %(run_id)s
    ) as result
    where known_at is not distinct from validated_at
        and (%(market)s::text is null or market = %(market)s)
        and (%(interval)s::text is null or interval = %(interval)s)
    order by market, interval, suite, expectation, target, window_start, window_end, result_id desc
) as newest
order by severity, array_position(array['broken', 'failed', 'not_evaluated', 'passed'], status), result_id
