-- purpose: note where ticks came, for the refresh of their rollups; return before when ticks are gone (µs since 1970)
-- parameters: first times, last times
with noted as (
    insert into tick_pending (first_time, last_time)
    select * from unnest(%s::timestamptz[], %s::timestamptz[])
)
select (extract(epoch from greatest(dropped_before, timestamptz '1900-01-01 00:00:00+00')) * 1000000)::bigint from tick_state
