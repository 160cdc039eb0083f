-- purpose: note that a source did not answer for all that was asked. A try counts when it comes `pause` after the one
--   before; one that brought more begins the count anew. After `most` tries what is left unread is given up: partial
-- parameters: run_id, now, pause (interval), most; arrays ids, unreads, load_ids, froms, errors (unread, load and from may
--   be null)
with counted as (
    select
        open.restatement_id, coalesce(given.unread, open.unread) as unread, given.load_id, given.first_time, given.error,
        case
            when open.tries = 0 or given.unread < open.unread then 1
            when %(now)s < open.tried_at + %(pause)s then open.tries
            else open.tries + 1
        end as tries,
        case
            when open.tries > 0 and coalesce(given.unread >= open.unread, true) and %(now)s < open.tried_at + %(pause)s
            then open.tried_at
            else %(now)s
        end as tried_at
    from unnest(
        %(ids)s::bigint[], %(unreads)s::int[], %(load_ids)s::bigint[], %(froms)s::timestamptz[], %(errors)s::text[]
    ) as given (id, unread, load_id, first_time, error)
    join restatement as open on open.restatement_id = given.id
    where open.state in ('suspected', 'confirmed', 'disputed')
    for update of open
)
update restatement as open
set
    unread = counted.unread, tries = counted.tries, tried_at = counted.tried_at, error = counted.error,
    state = case when counted.tries >= %(most)s then 'partial' else open.state end,
    reread_run = %(run_id)s, reread_load = coalesce(counted.load_id, open.reread_load),
    reread_from = coalesce(counted.first_time, open.reread_from), reread_at = %(now)s
from counted
where open.restatement_id = counted.restatement_id
