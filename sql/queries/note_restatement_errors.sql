-- purpose: keep why restatements could not be settled; they stay open
-- parameters: arrays ids, errors
update restatement
set error = given.error
from unnest(%(ids)s::bigint[], %(errors)s::text[]) as given (id, error)
where restatement_id = given.id and state in ('suspected', 'confirmed')
