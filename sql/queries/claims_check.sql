-- purpose: hold claims until the transaction ends, so that nobody takes them meanwhile; the units that are still held
-- parameters: kind, units and tokens (arrays of one length), worker
select claim.unit
from claim
    join unnest(%(units)s::text[], %(tokens)s::bigint[]) as mine (unit, token) using (unit, token)
where claim.kind = %(kind)s and claim.worker_id = %(worker)s and claim.state = 'running'
order by claim.unit
for share of claim
