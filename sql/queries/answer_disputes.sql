-- purpose: end the disputes of series whose first source was compared with its own bars again. Where these differ, a
--   restatement of their own is open
-- parameters: run_id, now; arrays ids, checked, differing
update restatement
set
    state = 'answered', checked = given.checked, differing = given.differing, checked_run = %(run_id)s,
    checked_at = %(now)s, error = null
from unnest(%(ids)s::bigint[], %(checked)s::int[], %(differing)s::int[]) as given (id, checked, differing)
where restatement_id = given.id and state = 'disputed'
