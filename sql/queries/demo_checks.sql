-- purpose: the newest result of every check that failed or did not run
select relation, expectation, severity, status, evaluated, unexpected, first_key
from (
    select distinct on (market, interval, suite, expectation, target)
        market || ' ' || interval as relation, expectation, severity, status, evaluated, unexpected,
        concat_ws(' ', sample -> 0 ->> 'ticker', sample -> 0 ->> 'time') as first_key
    from quality_result
    order by market, interval, suite, expectation, target, result_id desc
) as newest
where status <> 'passed'
order by relation, severity, expectation
