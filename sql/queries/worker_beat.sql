-- purpose: say that a worker lives
-- parameters: worker, type, host, place, pid, process_started, metadata (JSON)
insert into worker_heartbeat (
    worker_id, worker_type, hostname, last_heartbeat, metadata, place, pid, process_started
)
values (
    %(worker)s, %(type)s, %(host)s, clock_timestamp(), %(metadata)s, %(place)s, %(pid)s, %(process_started)s
)
on conflict (worker_id) do update
set last_heartbeat = excluded.last_heartbeat, metadata = excluded.metadata, gone_at = null
