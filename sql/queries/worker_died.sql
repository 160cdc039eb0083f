-- purpose: note that workers are dead: what they hold is free
-- parameters: workers (array)
update worker_heartbeat set last_heartbeat = '-infinity' where worker_id = any(%(workers)s)
