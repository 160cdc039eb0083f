-- Of a worker that ended or was found dead it is kept when that was; its last beat stays what it was.
alter table worker_heartbeat add column gone_at timestamptz;
comment on column worker_heartbeat.gone_at is 'Since when the worker is known to be gone: it said so, or its process was found dead. What it holds is free.';
update worker_heartbeat set gone_at = started_at, last_heartbeat = started_at where last_heartbeat = '-infinity';
