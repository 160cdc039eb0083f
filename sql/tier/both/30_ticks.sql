-- What both tiers do with ticks in the same words.

-- Every refresh goes through here: nothing before what raw ticks still cover is touched, because a refresh over dropped
-- ticks would delete or rewrite the history that rollups keep.
create or replace procedure hypertape.refresh_tick_rollup(target text, starts timestamptz, ends timestamptz)
language plpgsql as $$
declare
    covered timestamptz := (select greatest(starts, dropped_before) from public.tick_state);
begin
    if covered < ends then
        call hypertape.refresh_rollup(target, covered, ends);
    end if;
end
$$;

-- Drops the ticks before a midnight, but none whose rollups still wait for a refresh, and returns the new border. Writers
-- hold the lock shared from before their ticks until their commit, so no tick slips in under the border.
create or replace function hypertape.drop_ticks(before timestamptz) returns timestamptz
language plpgsql as $$
declare
    border timestamptz;
begin
    perform pg_advisory_xact_lock(hashtextextended('hypertape/ticks', 0));
    border := least(
        date_trunc('day', before, 'UTC'),
        (select date_trunc('day', min(first_time), 'UTC') from public.tick_pending)
    );
    update public.tick_state set dropped_before = border where dropped_before < border;
    if found then
        perform hypertape.drop_tick_chunks(border);
    end if;
    return (select dropped_before from public.tick_state);
end
$$;
