-- Who changed what, when, from where: the ledgers beside the bars.
create table load (
    load_id bigint generated always as identity primary key,
    run_id text not null,
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    attempt int not null default 1,
    source text not null,
    window_start timestamptz not null,
    window_end timestamptz not null,
    status text not null check (status in ('loaded', 'failed', 'skipped')),
    fetched int not null default 0,
    inserted int not null default 0,
    updated int not null default 0,
    recomputed int not null default 0,
    unchanged int not null default 0,
    quarantined int not null default 0,
    duplicates int not null default 0,
    expected int,
    missing int,
    first_changed timestamptz,
    last_changed timestamptz,
    provisional_from timestamptz,
    error text,
    code_version text not null,
    seconds float8 not null default 0,
    loaded_at timestamptz not null default clock_timestamp()
);
create index on load (run_id);
create index on load (market, interval, ticker, load_id);
comment on table load is 'One row per (run, market, interval, ticker) and attempt. Every bar points at the load that last wrote its prices.';
comment on column load.recomputed is 'Rows whose prices did not change but whose indicators did, because an earlier bar changed.';
comment on column load.provisional_from is 'Bars of this load at or after this instant were still open.';

create table series (
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    first_time timestamptz not null,
    last_time timestamptz not null,
    provisional_time timestamptz,
    watermark timestamptz,
    updated_at timestamptz not null default now(),
    primary key (market, interval, ticker)
);
comment on column series.provisional_time is 'The one bar that was still open when it was last fetched.';
comment on column series.watermark is 'End of the last window that was loaded and validated.';

create table rollup_pending (
    load_id bigint not null,
    market text not null,
    interval text not null,
    first_changed timestamptz not null,
    last_changed timestamptz not null
);
create index on rollup_pending (market, interval);
comment on table rollup_pending is 'Ranges whose rollups are older than their bars: written in the load''s transaction, removed by the refresh.';

create table bar_revision (
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    time timestamptz not null,
    open float8 not null,
    high float8 not null,
    low float8 not null,
    close float8 not null,
    volume float8 not null,
    adjusted_close float8,
    load_id bigint not null,
    replaced_by bigint not null,
    valid_from timestamptz not null,
    valid_to timestamptz not null,
    primary key (market, interval, ticker, time, replaced_by)
);
comment on table bar_revision is 'Former values of restated final bars. valid_from and valid_to are load times, half-open.';

create table quarantine (
    quarantine_id bigint generated always as identity primary key,
    load_id bigint not null,
    run_id text not null,
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    time timestamptz,
    rule text not null,
    value text,
    source text not null,
    row_text text not null,
    row_digest text not null generated always as (md5(row_text)) stored,
    quarantined_at timestamptz not null default now(),
    released_at timestamptz,
    unique (market, interval, ticker, rule, row_digest)
);
comment on table quarantine is 'Rows the gate refused, whole, with the rule they broke. The same row refused again is not kept twice.';

create table gap (
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    start_time timestamptz not null,
    end_time timestamptz not null,
    bars int not null,
    reason text not null check (reason in ('holiday', 'not listed', 'delisted', 'halted', 'provider empty', 'fetch failed', 'unknown')),
    found_run text not null,
    found_at timestamptz not null default now(),
    closed_at timestamptz,
    primary key (market, interval, ticker, start_time)
);

create table quality_result (
    result_id bigint generated always as identity primary key,
    run_id text not null,
    market text not null,
    interval text not null,
    suite text not null,
    expectation text not null,
    target text not null default '',
    description text not null,
    severity text not null check (severity in ('critical', 'warning')),
    status text not null check (status in ('passed', 'failed', 'broken')),
    evaluated bigint,
    unexpected bigint,
    unexpected_percent float8,
    sample jsonb not null default '[]',
    details jsonb not null default '{}',
    error text,
    window_start timestamptz not null,
    window_end timestamptz not null,
    seconds float8 not null,
    checked_at timestamptz not null default now()
);
create index on quality_result (run_id);
create index on quality_result (market, interval, checked_at);
comment on column quality_result.status is 'broken: the rule itself did not run; that says nothing about the data.';
comment on column quality_result.sample is 'Offending keys, at most a few: [{"ticker": ..., "time": ...}].';

create table sync_progress (
    worker_id text not null,
    market text not null,
    interval text not null,
    ticker text collate "C",
    last_sync_time timestamptz not null,
    last_data_time timestamptz,
    status text not null check (status in ('running', 'completed', 'failed', 'skipped')),
    error_message text,
    started_at timestamptz not null,
    completed_at timestamptz,
    unique nulls not distinct (worker_id, market, interval, ticker)
);

create table worker_heartbeat (
    worker_id text primary key,
    worker_type text not null,
    hostname text not null,
    last_heartbeat timestamptz not null,
    metadata jsonb not null default '{}'
);
