-- purpose: workers of this host that still count as living, so that dead processes are found at once
-- parameters: place
select worker_id, pid, process_started from worker_heartbeat
where place = %(place)s and pid is not null and gone_at is null
