-- purpose: reserve the next turn of a source, unless its circuit is open; a caller that is let through while it is open is
--   the one that tries it, and knows that by the instant of its trial. No row: it is left alone. Seconds to wait come back
-- parameters: source, step (seconds between turns), pause (seconds it is left alone)
insert into source_state as known (source, next_turn)
values (%(source)s, clock_timestamp() + make_interval(secs => %(step)s))
on conflict (source) do update
set
    next_turn = greatest(known.next_turn, clock_timestamp()) + make_interval(secs => %(step)s),
    state = case known.state when 'closed' then 'closed' else 'half-open' end,
    probed_at = case known.state when 'closed' then known.probed_at else clock_timestamp() end
where
    known.state = 'closed'
    or (known.state = 'open' and known.opened_at + make_interval(secs => %(pause)s) <= clock_timestamp())
    or (known.state = 'half-open' and known.probed_at + make_interval(secs => %(pause)s) <= clock_timestamp())
returning
    known.next_turn - make_interval(secs => %(step)s) as turn,
    greatest(
        0, extract(epoch from known.next_turn - make_interval(secs => %(step)s) - clock_timestamp())
    )::float8 as seconds,
    clock_timestamp() as reserved,
    case when known.state = 'half-open' then known.probed_at end as trial
