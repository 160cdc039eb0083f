-- purpose: note that a source answered; its circuit closes
-- parameters: source
insert into source_state as known (source, last_ok_at)
values (%(source)s, clock_timestamp())
on conflict (source) do update
set state = 'closed', failures = 0, opened_at = null, probed_at = null, last_ok_at = excluded.last_ok_at
