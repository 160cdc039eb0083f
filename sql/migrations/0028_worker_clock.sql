-- How far each worker's host is from the database's clock.
alter table worker_heartbeat add column ahead interval;
comment on column worker_heartbeat.ahead is 'The host''s clock less the database''s at the newest beat, with the time that the beat was on its way.';
