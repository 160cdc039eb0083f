-- purpose: the newest bar of every series, but for those the gap ledger takes for delisted or halted, and how many sessions
--   after it the ledger takes for holidays
-- parameters: market, interval (null: all)
select
    series.market, series.interval, series.ticker, series.last_time,
    (
        select coalesce(sum(gap.sessions), 0)::bigint from gap
        where gap.market = series.market and gap.interval = series.interval and gap.ticker = series.ticker
            and gap.closed_at is null and gap.reason = 'holiday' and gap.start_time > series.last_time
    ) as holidays
from series
where (%(market)s::text is null or series.market = %(market)s)
    and (%(interval)s::text is null or series.interval = %(interval)s)
    and not exists (
        select from gap
        where gap.market = series.market and gap.interval = series.interval and gap.ticker = series.ticker
            and gap.closed_at is null and gap.reason in ('delisted', 'halted') and gap.end_time > series.last_time
    )
order by series.market, series.interval, series.ticker
