-- purpose: what checks found wrong and no later run of the same check over the same bars has taken back: the newest result of
--   each window in which it failed; one that did not run, only where it is the newest of its check. A result that found more
--   than its sample lists (is_listed) is about its whole window, and named (all its tickers; null: its rule cannot say) is who.
--   A rule of a project (of_project) counts while the newest run of its suite has it: its file may have been removed
-- parameters: market, interval (null: all)
with wrong as (
    select distinct on (market, interval, suite, expectation, target, window_start, window_end)
        result_id, run_id, market, interval, suite, expectation, target, description, severity, status, evaluated, unexpected,
        sample, coalesce(details ->> 'statement' like '%%.sql', false) as of_project,
        details -> 'tickers' as named, coalesce(unexpected <= jsonb_array_length(sample), false) as is_listed,
        error, window_start, window_end, checked_at
    from quality_result
    where (status in ('failed', 'broken') or (status = 'not_evaluated' and error is not null))
        and (%(market)s::text is null or market = %(market)s)
        and (%(interval)s::text is null or interval = %(interval)s)
    order by market, interval, suite, expectation, target, window_start, window_end, result_id desc
),
spanned as (
    select
        wrong.*,
        coalesce(offending.first_time, wrong.window_start) as low, coalesce(offending.last_time, wrong.window_end) as high,
        offending.first_time is not null as has_times
    from wrong
    cross join lateral (
        select min(at.time) as first_time, max(at.time) as last_time
        from (
            select (key ->> 'time')::timestamptz as time
            from jsonb_array_elements(wrong.sample) as key
            where wrong.is_listed and key ->> 'time' ~ '^\d{4}-\d\d-\d\d'
        ) as at
    ) as offending
)
select
    spanned.*,
    newest.run_id = spanned.run_id as of_newest_run
from spanned
cross join lateral (
    select run_id from quality_result as result
    where result.market = spanned.market and result.interval = spanned.interval and result.suite = spanned.suite
    order by result.result_id desc
    limit 1
) as newest
where not exists (
    select from quality_result as later
    where later.market = spanned.market and later.interval = spanned.interval and later.suite = spanned.suite
        and later.expectation = spanned.expectation and later.target = spanned.target
        and later.result_id > spanned.result_id
        and case
            when spanned.status <> 'failed' then later.status in ('passed', 'failed')
            when later.status in ('passed', 'failed') then
                (later.window_start <= spanned.low and later.window_end > spanned.high)
                or (not spanned.has_times and later.window_start <= spanned.low and later.window_end >= spanned.high)
            else false
        end
)
    and (
        not spanned.of_project
        or exists (
            select from quality_result as still
            where still.run_id = newest.run_id and still.market = spanned.market and still.interval = spanned.interval
                and still.suite = spanned.suite and still.expectation = spanned.expectation
        )
    )
order by spanned.market, spanned.interval, spanned.suite, spanned.expectation, spanned.target, spanned.result_id
