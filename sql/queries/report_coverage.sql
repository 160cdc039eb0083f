-- purpose: daily bars of each ticker and month
-- parameters: relation; start, end
select ticker, date_trunc('month', time at time zone 'UTC')::date as month, count(*) as bars
from {relation}
where time >= %(start)s and time < %(end)s
group by 1, 2
