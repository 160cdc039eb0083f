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

-- True of what is refreshed: a continuous aggregate, which looks like a view and is written by whoever refreshes it.
create or replace function hypertape.is_rollup(relation regclass) returns boolean
language sql stable as $$
    select exists (
        select from timescaledb_information.continuous_aggregates
        where format('%I.%I', view_schema, view_name)::regclass = relation
    )
$$;

-- TimescaleDB lets owners alone refresh, and looks at who asks once, at the start. A writer becomes the owner until the
-- refresh commits for the first time, and does the rest as itself; it needs `grant OWNER to WRITER with inherit false`.
create or replace function hypertape.begin_as_owner(target text) returns void
language plpgsql as $$
declare
    owner name := (select pg_get_userbyid(relowner) from pg_class where oid = target::regclass);
begin
    if not pg_has_role(owner, 'usage') then
        perform set_config('role', owner, true);
    end if;
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
    perform hypertape.begin_as_owner(target);
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
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if to_regclass(chunk) is not null then
        perform decompress_chunk(chunk::regclass, if_compressed => true);
    end if;
end
$$;

create or replace function hypertape.close_chunk(chunk text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if to_regclass(chunk) is not null then
        perform compress_chunk(chunk::regclass, if_not_compressed => true);
    end if;
end
$$;
revoke all on function hypertape.open_chunk(text), hypertape.close_chunk(text) from public;

-- Computes whole buckets of a rollup anew, also those that no change of a bar is known to have outdated: somebody wrote into
-- the rollup itself.
create or replace procedure hypertape.rebuild_rollup(target text, starts timestamptz, ends timestamptz)
language plpgsql as $$
begin
    perform hypertape.begin_as_owner(target);
    call refresh_continuous_aggregate(
        target::regclass, starts, ends, force => true, options => '{"buckets_per_batch": 2016}'
    );
end
$$;

-- Compressed chunks with their bytes when they were compressed, and now. Compressing again what was changed leaves it larger.
create or replace function hypertape.compressed_sizes()
returns table (relation text, chunk text, was bigint, became bigint)
language sql stable as $$
    select
        format('%I.%I', hypertable.hypertable_schema, hypertable.hypertable_name),
        format('%I.%I', stats.chunk_schema, stats.chunk_name), stats.after_compression_total_bytes, size.total_bytes
    from timescaledb_information.hypertables as hypertable
    cross join lateral format('%I.%I', hypertable.hypertable_schema, hypertable.hypertable_name) as given (name)
    join lateral public.chunk_compression_stats(given.name::regclass) as stats on stats.compression_status = 'Compressed'
    join lateral public.chunks_detailed_size(given.name::regclass) as size using (chunk_schema, chunk_name)
    where hypertable.compression_enabled and hypertable.hypertable_schema in ('bars', 'public')
$$;

-- Under PostgreSQL 15 every job is marked as failed although its work commits.
create or replace function hypertape.failed_jobs()
returns table (job text, relation text, failed_at timestamptz, failures bigint)
language sql stable as $$
    select
        format('%s (%s)', jobs.proc_name, jobs.job_id),
        coalesce(rollup.view_name, jobs.hypertable_name, 'the database')::text, stats.last_run_started_at, stats.total_failures
    from timescaledb_information.jobs as jobs
    join timescaledb_information.job_stats as stats using (job_id)
    left join timescaledb_information.continuous_aggregates as rollup
        on rollup.materialization_hypertable_name = jobs.hypertable_name
    where stats.last_run_status = 'Failed'
        and (jobs.hypertable_name is not null or not starts_with(jobs.proc_schema, '_timescaledb'))
        and current_setting('server_version_num')::int >= 160000
$$;
