-- Backfills: what was asked, what it would cost, and how far each window of each batch is.
create table backfill (
    backfill_id bigint generated always as identity primary key,
    run_id text not null unique,
    fingerprint text not null,
    market text not null,
    interval text not null,
    mode text not null check (mode in ('missing', 'overwrite', 'restate')),
    window_start timestamptz not null,
    window_end timestamptz not null,
    tickers text[] not null,
    source jsonb not null,
    reason text,
    dry_run boolean not null,
    sessions int not null,
    expected bigint not null,
    present bigint not null,
    missing bigint not null,
    sessions_missing bigint not null,
    explained bigint not null,
    sessions_thin bigint not null,
    calls bigint not null,
    seconds_per_call float8 not null,
    timed_calls bigint not null,
    state text not null default 'planned' check (state in ('planned', 'running', 'done', 'failed')),
    planned_at timestamptz not null,
    finished_at timestamptz
);
create index on backfill (fingerprint, backfill_id);
comment on table backfill is 'One row per backfill, rehearsals included; one that is resumed keeps its row and its run id.';
comment on column backfill.fingerprint is 'Of what was asked (market, interval, mode, tickers, window, source): the same again continues an unfinished one.';
comment on column backfill.sessions is 'Sessions of the window that are over.';
comment on column backfill.expected is 'Bars that tickers trading without a pause would have.';
comment on column backfill.missing is '1d: bars the calendar expects and nobody explained. Narrower: openings of the full grid without a bar; thin tickers have many.';
comment on column backfill.sessions_missing is 'Sessions of a ticker without any bar and without an explanation.';
comment on column backfill.explained is 'Sessions of a ticker without any bar that the gap ledger explains: holiday, not listed, delisted, halted.';
comment on column backfill.sessions_thin is 'Sessions with less than half of the bars that the ticker has in a session on average: narrower than 1d only.';
comment on column backfill.timed_calls is 'Calls the time per call was measured over; 0: it is assumed.';

create table backfill_unit (
    backfill_id bigint not null references backfill on delete cascade,
    unit int not null,
    window_start timestamptz not null,
    window_end timestamptz not null,
    tickers text[] not null,
    expected bigint not null,
    present bigint not null,
    sessions_missing bigint not null,
    sessions_thin bigint not null,
    calls bigint not null,
    state text not null default 'pending' check (state in ('pending', 'running', 'done', 'failed')),
    open_tickers text[] not null,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    quarantined bigint not null default 0,
    error text,
    attempts int not null default 0,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (backfill_id, unit)
);
comment on table backfill_unit is 'One window of one batch of tickers. done is written after its bars are committed.';
comment on column backfill_unit.open_tickers is 'Tickers that are not loaded yet: all at first, after a load those that failed. A resumed backfill asks for these.';

alter table load
    add column asked_seconds float8,
    add column calls int;
comment on column load.asked_seconds is 'How long the source took to answer for this ticker: the time of its batch, shared out. Null: not measured.';
comment on column load.calls is 'Requests the source takes for one ticker and this window.';

-- Replay of refused rows: what became of those that are released.
alter table quarantine
    add column released_run text,
    add column outcome text check (outcome in ('loaded', 'superseded'));
comment on column quarantine.released_at is 'Since when the row waits for nobody any more; null: it is open.';
comment on column quarantine.outcome is 'loaded: a replay stored it as a bar. superseded: a bar of its time is stored already, and stays.';
create index quarantine_open on quarantine (market, interval, ticker, time) where released_at is null;
