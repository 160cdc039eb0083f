-- purpose: end claims that are still held; the units that were
-- parameters: kind, units, tokens and errors (arrays of one length; null: no error), worker, state
update claim
set state = %(state)s, error = mine.error, ended_at = clock_timestamp()
from unnest(%(units)s::text[], %(tokens)s::bigint[], %(errors)s::text[]) as mine (unit, token, error)
where claim.kind = %(kind)s and claim.unit = mine.unit and claim.token = mine.token
    and claim.worker_id = %(worker)s and claim.state = 'running'
returning claim.unit
