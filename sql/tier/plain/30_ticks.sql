-- Ticks on plain PostgreSQL. The TimescaleDB tier has the same names in tier/timescaledb.

-- Without chunks a span of time is found by a block index: ticks lie about in the order of their time.
create or replace function hypertape.create_ticks() returns void
language plpgsql as $$
begin
    create index ticks_tick_time on bars.ticks using brin (tick_time) with (pages_per_range = 16, autosummarize = on);
    perform shim.add_compression_policy('bars.ticks'::regclass, interval '7 days');
    perform shim.add_compression_policy('public.bars_1m'::regclass, interval '30 days');
end
$$;

create or replace function hypertape.create_tick_rollup(target text, source text, width interval) returns void
language plpgsql as $$
begin
    execute format(
        'create table %s (symbol_id bigint not null, open_time timestamptz not null, open numeric, high numeric, low numeric,
         close numeric, volume numeric, tick_count bigint, primary key (symbol_id, open_time))', target
    );
    execute format('create index on %s (open_time)', target);
    insert into shim.rollup (target, source, width, source_time, definition)
    values (
        target, source, width, case when source = 'bars.ticks' then 'tick_time' else 'open_time' end,
        hypertape.tick_rollup_select('%s', source = 'bars.ticks', width)
    );
end
$$;

create or replace function hypertape.configure_ticks(chunk interval, compress_after interval) returns void
language plpgsql as $$
begin
    perform shim.add_compression_policy('bars.ticks'::regclass, compress_after);
end
$$;

create or replace function hypertape.drop_tick_chunks(before timestamptz) returns void
language plpgsql as $$
begin
    delete from bars.ticks where tick_time < before;
end
$$;
