-- purpose: say that a worker lives
-- parameters: worker, type, host, place, pid, process_started, metadata (JSON), clock (seconds since 1970 by the host's clock)
insert into worker_heartbeat (
    worker_id, worker_type, hostname, last_heartbeat, metadata, place, pid, process_started, ahead
)
values (
    %(worker)s, %(type)s, %(host)s, clock_timestamp(), %(metadata)s, %(place)s, %(pid)s, %(process_started)s,
    to_timestamp(%(clock)s) - clock_timestamp()
)
on conflict (worker_id) do update
set last_heartbeat = excluded.last_heartbeat, metadata = excluded.metadata, ahead = excluded.ahead, gone_at = null
