-- purpose: a stream lives
-- parameters: name, host, pid, started at, figures
insert into stream_worker (name, host, pid, started_at, beat_at, figures)
values (%s, %s, %s, %s, clock_timestamp(), %s)
on conflict (name) do update
set host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, beat_at = excluded.beat_at, figures = excluded.figures
