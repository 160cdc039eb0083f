-- The warehouse's own few verbs on plain PostgreSQL. The TimescaleDB tier has the same names in tier/timescaledb.

create or replace function hypertape.create_bars(relation regclass, chunk interval) returns void
language sql as $$ select shim.create_hypertable(relation, 'time', chunk, false) $$;

create or replace function hypertape.compress_bars(relation regclass, after interval) returns void
language sql as $$ select shim.add_compression_policy(relation, after) $$;

create or replace function hypertape.create_rollup(target text, source text, width interval, depth interval) returns void
language plpgsql as $$
begin
    execute format(
        'create table %s (ticker text collate "C" not null, time timestamptz not null, open float8, high float8,
         low float8, close float8, volume float8, primary key (ticker, time))', target
    );
    execute format('create index on %s (time)', target);
    insert into shim.rollup (target, source, width) values (target, source, width);
    perform shim.add_continuous_aggregate_policy(target::regclass, depth, width, greatest(width, interval '1 hour'));
end
$$;

-- Rollups are tables here, and no view is written to.
create or replace function hypertape.is_rollup(relation regclass) returns boolean
language sql immutable
return false;

create or replace procedure hypertape.refresh_rollup(target text, starts timestamptz, ends timestamptz)
language sql as $$ call shim.refresh_continuous_aggregate(target::regclass, starts, ends) $$;

create or replace function hypertape.keep_for(relation text, span interval) returns void
language plpgsql as $$
begin
    if span is null then
        delete from shim.policy where policy.relation = keep_for.relation and kind = 'retention';
    elsif not exists (
        select from shim.policy
        where policy.relation = keep_for.relation and kind = 'retention' and (config ->> 'drop_after')::interval = span
    ) then
        perform shim.add_retention_policy(relation::regclass, span);
    end if;
end
$$;

-- Chunks are TimescaleDB's: here there are none to open and close.
create or replace function hypertape.compressed_chunks(relation text, first_time timestamptz, last_time timestamptz)
returns table (chunk text, range_start timestamptz, range_end timestamptz, rows bigint)
language sql stable as $$ select null::text, null::timestamptz, null::timestamptz, null::bigint where false $$;

create or replace function hypertape.open_chunk(chunk text) returns void
language sql as $$ select $$;

create or replace function hypertape.close_chunk(chunk text) returns void
language sql as $$ select $$;
revoke all on function hypertape.open_chunk(text), hypertape.close_chunk(text) from public;

-- Computes whole buckets of a rollup anew; here a refresh does.
create or replace procedure hypertape.rebuild_rollup(target text, starts timestamptz, ends timestamptz)
language sql as $$ call shim.refresh_continuous_aggregate(target::regclass, starts, ends) $$;

create or replace function hypertape.compressed_sizes()
returns table (relation text, chunk text, was bigint, became bigint)
language sql stable as $$ select null::text, null::text, null::bigint, null::bigint where false $$;

-- Nothing runs in the background here.
create or replace function hypertape.failed_jobs()
returns table (job text, relation text, failed_at timestamptz, failures bigint)
language sql stable as $$ select null::text, null::text, null::timestamptz, null::bigint where false $$;
