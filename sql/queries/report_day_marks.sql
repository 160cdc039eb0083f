-- purpose: what the ledgers say of each ticker and session since an instant: rows in quarantine, restated bars, and the
--   failed checks that name it and that no later run of the same check took back
-- parameters: zone (of the sessions' days); market, interval, start, end
with failed as (
    select
        result.*, key.value ->> 'ticker' as ticker,
        case
            when key.value ->> 'time' ~ '^\d{{4}}-\d\d-\d\d(T\d\d:\d\d:\d\d)?$'
            then ((key.value ->> 'time') || case when key.value ->> 'time' like '%%T%%' then 'Z' else 'T00:00Z' end)::timestamptz
        end as time
    from public.quality_result as result cross join jsonb_array_elements(result.sample) as key (value)
    where result.market = %(market)s and result.interval = %(interval)s and result.status = 'failed'
        and result.window_end > %(start)s and key.value ->> 'ticker' is not null
),
marks as (
    select ticker, time, 'check' as kind, expectation as what, severity = 'critical' as critical
    from failed
    where time >= %(start)s and time < %(end)s and not exists (
        select from public.quality_result as later
        where later.result_id > failed.result_id and later.market = failed.market and later.interval = failed.interval
            and later.suite = failed.suite and later.expectation = failed.expectation and later.target = failed.target
            and later.status in ('passed', 'failed') and later.window_start <= failed.time and later.window_end > failed.time
    )
    union all
    select ticker, time, 'refused', rule, false
    from public.quarantine
    where market = %(market)s and interval = %(interval)s and released_at is null and time >= %(start)s and time < %(end)s
    union all
    select ticker, time, 'check', rule, false
    from public.bar_flag
    where market = %(market)s and interval = %(interval)s and time >= %(start)s and time < %(end)s
    union all
    select ticker, time, 'restated', 'restated', false
    from public.bar_revision
    where market = %(market)s and interval = %(interval)s and time >= %(start)s and time < %(end)s
)
select
    ticker, (time at time zone {zone})::date as session, kind, count(*)::int as count, array_agg(distinct what) as what,
    bool_or(critical) as critical
from marks
group by 1, 2, 3
