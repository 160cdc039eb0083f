-- purpose: by market and interval: bars in open gaps that are defects, rows in quarantine, failed checks of the newest checked run
-- parameters: explained (reasons for which a missing bar is no defect)
select
    held.market, held.interval,
    (
        select coalesce(sum(bars), 0)::bigint from gap
        where gap.market = held.market and gap.interval = held.interval and closed_at is null
            and reason <> all(%(explained)s::text[])
    ) as gap_bars,
    (
        select count(*) from quarantine
        where quarantine.market = held.market and quarantine.interval = held.interval and released_at is null
    ) as quarantined,
    (
        select count(*) from quality_result as result
        where result.status <> 'passed' and result.run_id = (
            select run_id from quality_result as newest
            where newest.market = held.market and newest.interval = held.interval
            order by result_id desc
            limit 1
        ) and result.market = held.market and result.interval = held.interval
    ) as failed_checks
from (select distinct market, interval from series) as held
order by held.market, held.interval
