-- purpose: by market and interval: bars in open gaps that are defects (but for what lies before a ticker's first bar), rows
--   in quarantine, and of the newest checked run the checks that failed and those that had nothing to look at
-- parameters: explained (reasons for which a missing bar is no defect)
select
    held.market, held.interval,
    (
        select coalesce(sum(gap.bars), 0)::bigint
        from gap
        left join series as own using (market, interval, ticker)
        where gap.market = held.market and gap.interval = held.interval and gap.closed_at is null
            and gap.reason <> all(%(explained)s::text[]) and (gap.end_time <= own.first_time) is not true
    ) as gap_bars,
    (
        select count(*) from quarantine
        where quarantine.market = held.market and quarantine.interval = held.interval and released_at is null
    ) as quarantined,
    checked.failed as failed_checks, checked.idle as not_evaluated_checks
from (select distinct market, interval from series) as held
cross join lateral (
    select
        count(*) filter (where result.status = 'failed' or result.error is not null) as failed,
        count(*) filter (where result.status = 'not_evaluated' and result.error is null) as idle
    from quality_result as result
    where result.run_id = (
            select run_id from quality_result as newest
            where newest.market = held.market and newest.interval = held.interval
            order by result_id desc
            limit 1
        ) and result.market = held.market and result.interval = held.interval
) as checked
order by held.market, held.interval
