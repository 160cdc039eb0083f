-- purpose: markets and intervals with bars that no check has looked at
-- parameters: market, interval (null: all)
select held.market, held.interval
from (select distinct market, interval from series) as held
where not exists (
        select from quality_result as result
        where result.market = held.market and result.interval = held.interval and result.status in ('passed', 'failed')
    )
    and (%(market)s::text is null or held.market = %(market)s)
    and (%(interval)s::text is null or held.interval = %(interval)s)
order by 1, 2
