-- purpose: note that a source answered; its circuit closes, unless the request began before it opened: that says nothing
--   about the source since
-- parameters: source, begun (when the request began; null: just now)
insert into source_state as known (source, last_ok_at)
values (%(source)s, clock_timestamp())
on conflict (source) do update
set state = 'closed', failures = 0, opened_at = null, probed_at = null, last_ok_at = excluded.last_ok_at
where known.opened_at is null or known.opened_at <= coalesce(%(begun)s::timestamptz, clock_timestamp())
