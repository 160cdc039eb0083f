-- Ticks, what is rolled up from them, finalised bars, and what a feed refused or missed.

alter table symbols add column last_synced_at timestamptz;
comment on column symbols.last_synced_at is 'When a feed last listed it; digits, tick_size and contract_size are the feed''s word.';
alter table symbols drop constraint symbols_kind_check;
alter table symbols add constraint symbols_kind_check check (kind in ('stock', 'index', 'etf', 'crypto', 'other'));

create table bars.ticks (
    symbol_id bigint not null,
    tick_time timestamptz not null,
    sequence bigint not null,
    bid_price numeric(20, 8),
    ask_price numeric(20, 8),
    bid_volume numeric(20, 8),
    ask_volume numeric(20, 8),
    source text collate "C" not null,
    created_at timestamptz not null default now(),
    primary key (symbol_id, tick_time, sequence),
    check (sequence >= 0),
    check (bid_price is not null or ask_price is not null)
);
comment on table bars.ticks is 'Quotes as they came; readers see the view ticks. Appended and dropped by age, never changed.';

-- symbol is a name here, as in the document whose table this is.
create table public.bars_1m (
    symbol text collate "C" not null,
    timestamp timestamptz not null,
    open numeric(20, 8) not null,
    high numeric(20, 8) not null,
    low numeric(20, 8) not null,
    close numeric(20, 8) not null,
    volume numeric(20, 8) not null,
    vwap numeric(20, 8),
    corrected_at timestamptz,
    primary key (symbol, timestamp),
    check (low <= high)
);
comment on table public.bars_1m is 'Finalised minutes. vwap is null where nothing had a volume.';
comment on column public.bars_1m.corrected_at is 'When a late tick changed a bar that was final already.';

select hypertape.create_ticks();
select hypertape.create_tick_rollup('bars.ohlc_1m', 'bars.ticks', interval '1 minute');
select hypertape.create_tick_rollup('bars.ohlc_5m', 'bars.ohlc_1m', interval '5 minutes');
select hypertape.create_tick_rollup('bars.ohlc_15m', 'bars.ohlc_5m', interval '15 minutes');
select hypertape.create_tick_rollup('bars.ohlc_30m', 'bars.ohlc_15m', interval '30 minutes');
select hypertape.create_tick_rollup('bars.ohlc_1h', 'bars.ohlc_30m', interval '1 hour');
select hypertape.create_tick_rollup('bars.ohlc_4h', 'bars.ohlc_1h', interval '4 hours');
select hypertape.create_tick_rollup('bars.ohlc_1d', 'bars.ohlc_4h', interval '1 day');

create table tick_pending (
    note_id bigint generated always as identity primary key,
    first_time timestamptz not null,
    last_time timestamptz not null,
    noted_at timestamptz not null default now()
);
comment on table tick_pending is 'Where ticks came and their rollups wait for a refresh; written in the transaction of the ticks. Ticks of these days are not dropped.';

create table tick_state (
    only_row boolean primary key default true check (only_row),
    dropped_before timestamptz not null default '-infinity',
    refresh_holder text,
    refresh_until timestamptz not null default '-infinity'
);
insert into tick_state default values;
comment on table tick_state is 'One row. Ticks before dropped_before (a midnight, UTC) are gone, so nothing before it is refreshed or accepted; refresh_* is the lease of whoever refreshes.';

create table dead_letter (
    letter_id bigint generated always as identity primary key,
    digest bytea not null unique,
    kind text not null check (kind in ('tick', 'bar', 'record')),
    source text not null,
    record bytea not null,
    error text not null,
    times int not null default 1,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    replayed_at timestamptz
);
comment on table dead_letter is 'What a feed delivered and nobody could store, whole, once each, with the latest reason. A tick is a line of jsonl.';

create table feed_gap (
    gap_id bigint generated always as identity primary key,
    source text not null,
    symbol text collate "C",
    reason text not null check (reason in ('sequence', 'reconnect', 'silent')),
    start_time timestamptz not null,
    end_time timestamptz,
    last_sequence bigint,
    first_sequence bigint,
    opened_at timestamptz not null default now(),
    closed_at timestamptz,
    closed_by text,
    unique nulls not distinct (source, symbol, reason, start_time, last_sequence)
);
comment on table feed_gap is 'What feeds know that they missed. symbol is null for a whole feed, end_time while it lasts; closed when a replay filled it.';

create table stream_worker (
    name text primary key,
    host text not null,
    pid int not null,
    started_at timestamptz not null,
    beat_at timestamptz not null,
    figures jsonb not null default '{}'
);
comment on table stream_worker is 'Running streams and what they say of themselves: queue, spool, rates, lag.';
