-- purpose: note a failed request of a source. Its circuit opens after so many in a row, and at once when it was being tried;
--   one that began before it opened is a straggler and changes neither the circuit nor the trial. A pause holds everybody,
--   also who has a turn already
-- parameters: source, reason, pause (seconds nobody may ask), failures (that open the circuit), begun (when the request
--   began; null: just now)
insert into source_state as known (source, next_turn, held_until, state, failures, opened_at, last_failed_at, last_error)
values (
    %(source)s, clock_timestamp() + make_interval(secs => %(pause)s),
    case when %(pause)s > 0 then clock_timestamp() + make_interval(secs => %(pause)s) else '-infinity' end,
    case when %(failures)s <= 1 then 'open' else 'closed' end, 1,
    case when %(failures)s <= 1 then clock_timestamp() end, clock_timestamp(), %(reason)s
)
on conflict (source) do update
set
    next_turn = greatest(known.next_turn, clock_timestamp() + make_interval(secs => %(pause)s)),
    held_until = greatest(known.held_until, excluded.held_until),
    failures = known.failures + 1,
    state = case
        when known.opened_at > %(begun)s::timestamptz then known.state
        when known.state <> 'closed' or known.failures + 1 >= %(failures)s then 'open'
        else 'closed'
    end,
    opened_at = case
        when known.state = 'open' or known.opened_at > %(begun)s::timestamptz then known.opened_at
        when known.state = 'half-open' or known.failures + 1 >= %(failures)s then clock_timestamp()
    end,
    probed_at = case when known.opened_at > %(begun)s::timestamptz then known.probed_at end,
    last_failed_at = clock_timestamp(),
    last_error = excluded.last_error
