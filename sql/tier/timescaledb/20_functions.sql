-- The warehouse's own few verbs on TimescaleDB Community. The plain tier has the same names in tier/plain.

create or replace function hypertape.create_bars(relation regclass, chunk interval) returns void
language plpgsql as $$
begin
    perform create_hypertable(relation, 'time', chunk_time_interval => chunk, create_default_indexes => false);
end
$$;

create or replace function hypertape.compress_bars(relation regclass, after interval) returns void
language plpgsql as $$
begin
    execute format(
        'alter table %s set (timescaledb.compress, timescaledb.compress_segmentby = ''ticker'', timescaledb.compress_orderby = ''time'')',
        relation
    );
    perform add_compression_policy(relation, after, if_not_exists => true);
end
$$;

-- The policy is a safety net: the pipeline refreshes what it changed. It looks back `depth` and leaves the newest
-- bucket to the pipeline.
create or replace function hypertape.create_rollup(target text, source text, width interval, depth interval) returns void
language plpgsql as $$
begin
    execute format(
        'create materialized view %s with (timescaledb.continuous, timescaledb.materialized_only = true) as %s with no data',
        target, hypertape.rollup_select(source, width)
    );
    perform add_continuous_aggregate_policy(
        target::regclass, start_offset => depth, end_offset => width, schedule_interval => greatest(width, interval '1 hour')
    );
end
$$;

-- 2016 buckets a batch (a week of 5m) is six times faster than the default over long ranges. Months are refreshed by
-- force: of changes that reach into several of them and end with the first instant of one, TimescaleDB 2.29 forgets
-- that last month.
create or replace procedure hypertape.refresh_rollup(target text, starts timestamptz, ends timestamptz)
language plpgsql as $$
declare
    by_month boolean := (
        select view_definition like '%time_bucket(''1 mon''%' from timescaledb_information.continuous_aggregates
        where format('%I.%I', view_schema, view_name) = target
    );
begin
    call refresh_continuous_aggregate(
        target::regclass, starts, ends, force => by_month, options => '{"buckets_per_batch": 2016}'
    );
end
$$;

-- Drops bars older than `span`, or keeps all where it is null. Nothing happens where that is so already.
create or replace function hypertape.keep_for(relation text, span interval) returns void
language plpgsql as $$
declare
    kept interval := (
        select (config ->> 'drop_after')::interval from timescaledb_information.jobs
        where proc_name = 'policy_retention' and format('%I.%I', hypertable_schema, hypertable_name) = relation
    );
begin
    if kept is distinct from span then
        perform remove_retention_policy(relation::regclass, if_exists => true);
        if span is not null then
            perform add_retention_policy(relation::regclass, span);
        end if;
    end if;
end
$$;

-- The compressed chunks of a relation between two instants (inclusive), with their rows. Counted, because the catalog's
-- own figures are no interface and change their place; counting a compressed chunk takes some ten milliseconds.
create or replace function hypertape.compressed_chunks(relation text, first_time timestamptz, last_time timestamptz)
returns table (chunk text, range_start timestamptz, range_end timestamptz, rows bigint)
language plpgsql stable as $$
begin
    for chunk, range_start, range_end in
        select format('%I.%I', found.chunk_schema, found.chunk_name), found.range_start, found.range_end
        from timescaledb_information.chunks as found
        where format('%I.%I', found.hypertable_schema, found.hypertable_name) = relation and found.is_compressed
            and found.range_end > first_time and found.range_start <= last_time
        order by found.range_start
    loop
        execute format('select count(*) from %s', chunk) into rows;
        return next;
    end loop;
end
$$;

-- Opening rewrites the chunk as plain rows; a chunk somebody else has opened or dropped meanwhile is left alone. One that
-- stays open is closed by the compression policy.
create or replace function hypertape.open_chunk(chunk text) returns void
language plpgsql as $$
begin
    if to_regclass(chunk) is not null then
        perform decompress_chunk(chunk::regclass, if_compressed => true);
    end if;
end
$$;

create or replace function hypertape.close_chunk(chunk text) returns void
language plpgsql as $$
begin
    if to_regclass(chunk) is not null then
        perform compress_chunk(chunk::regclass, if_not_compressed => true);
    end if;
end
$$;

-- Computes whole buckets of a rollup anew, also those that no change of a bar is known to have outdated: somebody wrote into
-- the rollup itself.
create or replace procedure hypertape.rebuild_rollup(target text, starts timestamptz, ends timestamptz)
language plpgsql as $$
begin
    call refresh_continuous_aggregate(
        target::regclass, starts, ends, force => true, options => '{"buckets_per_batch": 2016}'
    );
end
$$;
