-- purpose: take the published sessions that nobody was told of, and those this run has taken already (a task that is tried
--   again), oldest first; the older ones of more than `most` are taken, and only counted
-- parameters: market, interval, run_id, most
with taken as (
    update published_session
    set announced_by = %(run_id)s
    where market = %(market)s and interval = %(interval)s and (announced_by is null or announced_by = %(run_id)s)
    returning session, times
),
numbered as (
    select session, times, row_number() over (order by session desc) as place, count(*) over () as taken from taken
)
select session, times > 1 as restated, taken
from numbered
where place <= %(most)s
order by session
