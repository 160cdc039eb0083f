-- purpose: note that workers are gone, ended or dead: what they hold is free
-- parameters: workers (array)
update worker_heartbeat set gone_at = clock_timestamp() where worker_id = any(%(workers)s) and gone_at is null
