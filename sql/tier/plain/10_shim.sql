-- The TimescaleDB names on plain PostgreSQL (15 or newer), as far as the warehouse uses them.
create schema if not exists shim;

create table if not exists shim.rollup (
    target text primary key,
    source text not null,
    width interval not null
);
alter table shim.rollup
    add column if not exists source_time text not null default 'time',
    add column if not exists definition text;
comment on column shim.rollup.definition is 'Its SELECT, with %s for the source. Null: a rollup of bars, hypertape.rollup_select.';
create table if not exists shim.policy (
    relation text not null,
    kind text not null,
    config jsonb not null,
    primary key (relation, kind)
);
comment on table shim.policy is 'Policies that TimescaleDB would run. Here they are recorded and nothing runs them.';

create or replace function shim.origin(bucket_width interval) returns timestamptz
language sql immutable parallel safe
return case
    when extract(year from bucket_width) * 12 + extract(month from bucket_width) > 0
    then timestamptz '2000-01-01 00:00:00+00'
    else timestamptz '2000-01-03 00:00:00+00'
end;

create or replace function shim.time_bucket(bucket_width interval, ts timestamptz, origin timestamptz) returns timestamptz
language sql immutable parallel safe
return case
    when extract(year from bucket_width) * 12 + extract(month from bucket_width) = 0
    then date_bin(bucket_width, ts, origin)
    when bucket_width = interval '1 month' and origin = timestamptz '2000-01-01 00:00:00+00'
    then date_trunc('month', ts at time zone 'UTC') at time zone 'UTC'
    else (
        date_trunc('month', ts at time zone 'UTC') - make_interval(
            months => mod(
                (
                    (extract(year from ts at time zone 'UTC') - extract(year from origin at time zone 'UTC')) * 12
                    + extract(month from ts at time zone 'UTC') - extract(month from origin at time zone 'UTC')
                )::int
                + 12 * 4000 * (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int,
                (extract(year from bucket_width) * 12 + extract(month from bucket_width))::int
            )
        )
    ) at time zone 'UTC'
end;

create or replace function shim.time_bucket(bucket_width interval, ts timestamptz) returns timestamptz
language sql immutable parallel safe
return shim.time_bucket(bucket_width, ts, shim.origin(bucket_width));

do $$
begin
    if to_regtype('shim.timed_value') is null then
        create type shim.timed_value as (value float8, at timestamptz);
    end if;
end
$$;

create or replace function shim.keep_first(state shim.timed_value, value float8, at timestamptz) returns shim.timed_value
language sql immutable parallel safe
as $$ select case when state is null or (state).at > at then row(value, at)::shim.timed_value else state end $$;

create or replace function shim.keep_last(state shim.timed_value, value float8, at timestamptz) returns shim.timed_value
language sql immutable parallel safe
as $$ select case when state is null or (state).at <= at then row(value, at)::shim.timed_value else state end $$;

create or replace function shim.merge_first(a shim.timed_value, b shim.timed_value) returns shim.timed_value
language sql immutable parallel safe
as $$ select case when a is null or (b is not null and (b).at < (a).at) then b else a end $$;

create or replace function shim.merge_last(a shim.timed_value, b shim.timed_value) returns shim.timed_value
language sql immutable parallel safe
as $$ select case when a is null or (b is not null and (b).at > (a).at) then b else a end $$;

create or replace function shim.kept_value(state shim.timed_value) returns float8
language sql immutable parallel safe
as $$ select (state).value $$;

create or replace aggregate shim.first(float8, timestamptz) (
    sfunc = shim.keep_first, stype = shim.timed_value, finalfunc = shim.kept_value,
    combinefunc = shim.merge_first, parallel = safe
);
create or replace aggregate shim.last(float8, timestamptz) (
    sfunc = shim.keep_last, stype = shim.timed_value, finalfunc = shim.kept_value,
    combinefunc = shim.merge_last, parallel = safe
);

create or replace function shim.create_hypertable(
    relation regclass, time_column_name name, chunk_time_interval interval default null,
    create_default_indexes boolean default true, if_not_exists boolean default false
) returns void
language sql as $$ select $$;

create or replace function shim.record_policy(relation regclass, kind text, config jsonb) returns void
language sql as $$
    insert into shim.policy (relation, kind, config) values (relation::text, kind, config)
    on conflict (relation, kind) do update set config = excluded.config
$$;

create or replace function shim.add_compression_policy(
    hypertable regclass, compress_after interval, if_not_exists boolean default false
) returns void
language sql as $$ select shim.record_policy(hypertable, 'compression', jsonb_build_object('compress_after', compress_after)) $$;

create or replace function shim.add_retention_policy(
    relation regclass, drop_after interval, if_not_exists boolean default false
) returns void
language sql as $$ select shim.record_policy(relation, 'retention', jsonb_build_object('drop_after', drop_after)) $$;

create or replace function shim.add_continuous_aggregate_policy(
    continuous_aggregate regclass, start_offset interval, end_offset interval, schedule_interval interval,
    if_not_exists boolean default false
) returns void
language sql as $$
    select shim.record_policy(
        continuous_aggregate, 'refresh',
        jsonb_build_object('start_offset', start_offset, 'end_offset', end_offset, 'schedule_interval', schedule_interval)
    )
$$;

-- A rollup's text with the first and the last value by sorted arrays: a sort of all bars and functions of the server's own,
-- where first() and last() of here are two calls of SQL functions a bar, and take eight times as long.
create or replace function shim.rollup_select(source text, width interval) returns text
language sql immutable
return replace(
    replace(hypertape.rollup_select(source, width), 'first(open, time)', '(array_agg(open order by time))[1]'),
    'last(close, time)', '(array_agg(close order by time))[count(*)]'
);

-- Refreshes the whole buckets inside [window_start, window_end), as TimescaleDB does; null means everything. Writes
-- only buckets that differ. A rollup's key ends with its time.
create or replace procedure shim.refresh_continuous_aggregate(
    continuous_aggregate regclass, window_start timestamptz, window_end timestamptz,
    force boolean default false, options jsonb default null
)
language plpgsql set search_path = shim, public as $$
declare
    rollup shim.rollup;
    starts timestamptz;
    ends timestamptz;
    part text;
    keys text[];
    others text[];
begin
    -- to_regclass: a rollup that is gone must not keep the others from their refresh
    select * into strict rollup from shim.rollup where to_regclass(target) = continuous_aggregate;
    starts := shim.time_bucket(rollup.width, window_start);
    if starts < window_start then
        starts := starts + rollup.width;
    end if;
    ends := shim.time_bucket(rollup.width, window_end);
    if starts >= ends then
        raise exception 'refresh window too small'
            using errcode = 'invalid_parameter_value',
            detail = 'The refresh window must cover at least one bucket of data.';
    end if;
    part := format(
        '(select * from %1$s where %2$I >= %3$L and %2$I < %4$L)', rollup.source, rollup.source_time,
        coalesce(starts, '-infinity'), coalesce(ends, 'infinity')
    );
    select
        array_agg(quote_ident(attname) order by attnum) filter (where attnum = any(indkey)),
        array_agg(quote_ident(attname) order by attnum) filter (where attnum <> all(indkey))
    into strict keys, others
    from pg_attribute
    join pg_index on indrelid = attrelid and indisprimary
    where attrelid = continuous_aggregate and attnum > 0 and not attisdropped;
    execute format(
        $refresh$
        with fresh as materialized (%1$s),
        gone as (
            delete from %2$s as kept
            where kept.%5$s >= %3$L and kept.%5$s < %4$L
                and not exists (select from fresh where (fresh.%6$s) = (kept.%7$s))
        )
        insert into %2$s as kept (%8$s, %9$s)
        select %8$s, %9$s from fresh
        on conflict (%8$s) do update set (%9$s) = row(excluded.%10$s)
        where (kept.%11$s) is distinct from (excluded.%10$s)
        $refresh$,
        coalesce(format(rollup.definition, part), shim.rollup_select(part, rollup.width)), rollup.target,
        coalesce(starts, '-infinity'), coalesce(ends, 'infinity'),
        keys[cardinality(keys)],
        array_to_string(keys, ', fresh.'), array_to_string(keys, ', kept.'), array_to_string(keys, ', '),
        array_to_string(others, ', '), array_to_string(others, ', excluded.'), array_to_string(others, ', kept.')
    );
end
$$;
