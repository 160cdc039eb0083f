-- purpose: the newest result of every check of a run, critical ones first, failures before passes
-- parameters: run_id; market, interval (null for all)
select
    run_id, market, interval, suite, expectation, target, description, severity, status, evaluated, unexpected,
    sample, details, error, window_start, window_end, seconds, checked_at
from (
    select distinct on (market, interval, suite, expectation, target, window_start, window_end) *
    from public.quality_result
    where run_id = %(run_id)s
        and (%(market)s::text is null or market = %(market)s)
        and (%(interval)s::text is null or interval = %(interval)s)
    order by market, interval, suite, expectation, target, window_start, window_end, result_id desc
) as newest
order by severity, array_position(array['broken', 'failed', 'not_evaluated', 'passed'], status), result_id
