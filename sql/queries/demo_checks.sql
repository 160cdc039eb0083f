-- purpose: of every check that failed or did not run, the result with the most offenders
select relation, expectation, severity, status, evaluated, unexpected, first_key
from (
    select distinct on (market, interval, suite, expectation, target)
        market || ' ' || interval as relation, expectation, severity, status, evaluated, unexpected,
        concat_ws(' ', sample -> 0 ->> 'ticker', sample -> 0 ->> 'time') as first_key
    from quality_result
    where status = 'failed' or error is not null
    order by market, interval, suite, expectation, target, unexpected desc nulls last, result_id desc
) as found
order by relation, severity, expectation
