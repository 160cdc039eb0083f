-- purpose: kept results of checks, the newest first
-- parameters: markets, interval, tickers, run_id, status, severity (null: all), after_result_id (null: from the newest), rows
select
    result_id, run_id, market, interval, suite, expectation, target, description, severity, status, evaluated,
    unexpected, unexpected_percent, sample, error, details ->> 'why' as why, window_start, window_end, seconds, checked_at
from quality_result
where market = any(%(markets)s::text[])
    and (%(interval)s::text is null or interval = %(interval)s::text)
    and (%(run_id)s::text is null or run_id = %(run_id)s::text)
    and (%(status)s::text is null or status = %(status)s::text)
    and (%(severity)s::text is null or severity = %(severity)s::text)
    and (%(after_result_id)s::bigint is null or result_id < %(after_result_id)s::bigint)
order by result_id desc
limit %(rows)s
