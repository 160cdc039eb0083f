-- Ticks on TimescaleDB Community. The plain tier has the same names in tier/plain.

create or replace function hypertape.create_ticks() returns void
language plpgsql as $$
begin
    perform create_hypertable('bars.ticks', 'tick_time', chunk_time_interval => interval '1 day', create_default_indexes => false);
    alter table bars.ticks set (
        timescaledb.compress, timescaledb.compress_segmentby = 'symbol_id', timescaledb.compress_orderby = 'tick_time, sequence'
    );
    perform add_compression_policy('bars.ticks', interval '7 days');
    perform create_hypertable('public.bars_1m', 'timestamp', chunk_time_interval => interval '7 days', create_default_indexes => false);
    alter table public.bars_1m set (
        timescaledb.compress, timescaledb.compress_segmentby = 'symbol', timescaledb.compress_orderby = 'timestamp'
    );
    perform add_compression_policy('public.bars_1m', interval '30 days');
end
$$;

-- No policy refreshes these: one whose window reaches below what was dropped would rewrite history.
create or replace function hypertape.create_tick_rollup(target text, source text, width interval) returns void
language plpgsql as $$
begin
    execute format(
        'create materialized view %s with (timescaledb.continuous, timescaledb.materialized_only = true) as %s with no data',
        target, hypertape.tick_rollup_select(source, source = 'bars.ticks', width)
    );
end
$$;

-- The chunks to come, and when they are compressed. Nothing happens where that is so already.
create or replace function hypertape.configure_ticks(chunk interval, compress_after interval) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if chunk is distinct from (
        select time_interval from timescaledb_information.dimensions
        where hypertable_schema = 'bars' and hypertable_name = 'ticks'
    ) then
        perform set_chunk_time_interval('bars.ticks', chunk);
    end if;
    if compress_after is distinct from (
        select (config ->> 'compress_after')::interval from timescaledb_information.jobs
        where proc_name = 'policy_compression' and hypertable_schema = 'bars' and hypertable_name = 'ticks'
    ) then
        perform remove_compression_policy('bars.ticks', if_exists => true);
        perform add_compression_policy('bars.ticks', compress_after);
    end if;
end
$$;

-- Chunks that end after `before` stay whole.
create or replace function hypertape.drop_tick_chunks(before timestamptz) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    perform drop_chunks('bars.ticks', older_than => before);
end
$$;
revoke all on function hypertape.configure_ticks(interval, interval), hypertape.drop_tick_chunks(timestamptz) from public;
