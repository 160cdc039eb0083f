-- purpose: mark restatements whose whole history this load has read again
-- parameters: run_id, now; arrays ids, load_ids, froms
update restatement
set
    state = 'reread', reread_run = %(run_id)s, reread_load = given.load_id, reread_from = given.first_time,
    reread_at = %(now)s, unread = 0, error = null
from unnest(%(ids)s::bigint[], %(load_ids)s::bigint[], %(froms)s::timestamptz[]) as given (id, load_id, first_time)
where restatement_id = given.id and state = 'confirmed'
