-- purpose: per ticker, the span that was held against the calendar, its first and last bar, and its first of any interval
-- parameters: market, interval
select
    ticker, judged.judged_from, judged.judged_to, series.first_time, series.last_time, listed.first_time
from (
    select ticker, judged_from, judged_to from gap_judged where market = %(market)s and interval = %(interval)s
) as judged
full join (
    select ticker, first_time, last_time from series where market = %(market)s and interval = %(interval)s
) as series using (ticker)
left join (
    select ticker, min(first_time) as first_time from series where market = %(market)s group by ticker
) as listed using (ticker)
