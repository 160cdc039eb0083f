-- purpose: bars of each ticker and session since an instant
-- parameters: relation, zone (of the sessions' days); start, end
select ticker, (time at time zone {zone})::date as session, count(*)::int as bars
from {relation}
where time >= %(start)s and time < %(end)s
group by 1, 2
