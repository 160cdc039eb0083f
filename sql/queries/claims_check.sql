-- purpose: hold claims until the transaction ends, so that nobody takes them meanwhile; the units that are still held
-- parameters: kind, units and tokens (arrays of one length), worker, lease (milliseconds, as text)
-- A client that is frozen in this transaction would hold them for ever: after a lease the server ends its session.
select claim.unit
from claim
    join unnest(%(units)s::text[], %(tokens)s::bigint[]) as mine (unit, token) using (unit, token)
    cross join (select set_config('idle_in_transaction_session_timeout', %(lease)s, true)) as bounded
where claim.kind = %(kind)s and claim.worker_id = %(worker)s and claim.state = 'running'
order by claim.unit
for share of claim
