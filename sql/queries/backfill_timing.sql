-- purpose: how long a call of a source took lately, loading its bars included: seconds, and over how many calls
-- parameters: market, interval, source, most (the newest loads that count)
select sum(asked_seconds + seconds) / nullif(sum(calls), 0), sum(calls)
from (
    select asked_seconds, seconds, calls from load
    where market = %(market)s and interval = %(interval)s and source = %(source)s and status = 'loaded'
        and asked_seconds is not null and calls is not null
    order by load_id desc
    limit %(most)s
) as newest
