-- purpose: give back whatever a worker holds of a kind: how much it is
-- parameters: kind, worker
update claim
set state = 'released', ended_at = clock_timestamp()
where kind = %(kind)s and worker_id = %(worker)s and state = 'running'
