-- purpose: keep the outcome of one check
-- parameters: the columns of quality_result, by name
insert into public.quality_result (
    run_id, market, interval, suite, expectation, target, description, severity, status,
    evaluated, unexpected, unexpected_percent, sample, details, error, window_start, window_end, known_at, seconds
)
values (
    %(run_id)s, %(market)s, %(interval)s, %(suite)s, %(expectation)s, %(target)s, %(description)s, %(severity)s, %(status)s,
    %(evaluated)s, %(unexpected)s, %(unexpected_percent)s, %(sample)s, %(details)s, %(error)s,
    %(window_start)s, %(window_end)s, %(known_at)s, %(seconds)s
)
