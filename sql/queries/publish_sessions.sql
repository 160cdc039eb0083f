-- purpose: note the sessions that are complete and published by now, and were not so before or have changed since: over at
--   `instant`, with no series of theirs that waits to be published, or that kept up until the session before and has not
--   reached the end of this one. `announced_by` is emptied: nobody has been told of it
-- parameters: market, interval, run_id, instant; arrays of the first and last bar of each change that was published
with change as (
    select unnest(%(firsts)s::timestamptz[]) as first_changed, unnest(%(lasts)s::timestamptz[]) as last_changed
),
known as (
    select max(session) as newest from published_session where market = %(market)s and interval = %(interval)s
),
calendar as (
    select session, opens_at, closes_at, lag(closes_at) over (order by session) as closed_before
    from trading_session where market = %(market)s
),
candidate as (
    select session, opens_at, closes_at, closed_before
    from calendar, known
    where closes_at <= %(instant)s
        and (
            session > known.newest
            or exists (
                select from change
                where first_changed < greatest(closes_at, (session + 1)::timestamp at time zone 'UTC')
                    and last_changed >= least(opens_at, session::timestamp at time zone 'UTC')
            )
        )
)
insert into published_session as kept (market, interval, session, run_id)
select %(market)s, %(interval)s, session, %(run_id)s
from candidate
where not exists (
        select from published
        where market = %(market)s and interval = %(interval)s and changed_from <= candidate.closes_at
    )
    and not exists (
        select from series
        where market = %(market)s and interval = %(interval)s
            and watermark < candidate.closes_at and watermark >= candidate.closed_before
    )
    and exists (
        select from series
        where market = %(market)s and interval = %(interval)s and first_time < candidate.closes_at
            and last_time >= least(candidate.opens_at, candidate.session::timestamp at time zone 'UTC')
    )
on conflict (market, interval, session) do update
set run_id = excluded.run_id, times = kept.times + 1, published_at = clock_timestamp(), announced_by = null
returning session
