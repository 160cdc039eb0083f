-- Migrations of SQLite files, how far each unit of their work is, and which store is the truth since when.
create table migration (
    migration_id bigint generated always as identity primary key,
    run_id text not null unique,
    fingerprint text not null,
    files jsonb not null,
    options jsonb not null,
    dry_run boolean not null,
    state text not null default 'planning' check (state in ('planning', 'copying', 'done', 'failed')),
    inspected jsonb not null,
    refreshed jsonb,
    verified_at timestamptz,
    started_at timestamptz not null,
    finished_at timestamptz
);
create index on migration (fingerprint, migration_id);
comment on table migration is 'One row per migration of SQLite files; a resumed one keeps its row.';
comment on column migration.fingerprint is 'Of the files (path, size, time, header) and of what was asked: the same again is the same migration.';

create table migration_unit (
    migration_id bigint not null references migration on delete cascade,
    unit text not null,
    part int not null,
    file text not null,
    address text not null,
    table_name text,
    market text,
    interval text,
    ticker text collate "C",
    planned bigint,
    state text not null default 'pending' check (state in ('pending', 'running', 'done', 'failed')),
    reached timestamptz,
    rows_read bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    refused bigint not null default 0,
    verdict text check (verdict in ('equal', 'different')),
    source_rows bigint,
    target_rows bigint,
    source_digest text,
    target_digest text,
    missing bigint,
    different bigint,
    extra bigint,
    sample jsonb not null default '[]',
    error text,
    attempts int not null default 0,
    seconds float8 not null default 0,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (migration_id, unit)
);
comment on table migration_unit is 'One series of one file, or one other table of it. done is written after its bars are committed.';
comment on column migration_unit.reached is 'Opening of the last bar that is known to be stored: a resumed unit continues after it.';
comment on column migration_unit.extra is 'Bars the warehouse holds inside the source''s span that the source does not have.';

create table cutover (
    cutover_id bigint generated always as identity primary key,
    truth text not null check (truth in ('warehouse', 'sqlite')),
    address text not null,
    load_id bigint not null,
    since timestamptz not null,
    decided_by text not null,
    reason text,
    synced jsonb not null default '{}'
);
comment on table cutover is 'Which store is read and written as the truth; the newest row stands. Without a row it is the warehouse.';
comment on column cutover.address is 'The SQLite store of this pair, as the command line names it.';
comment on column cutover.load_id is 'The newest load at the cut-over: later ones are what a rollback must carry back.';

-- What Stockula knows of its stocks beside their names.
alter table symbols
    add column sector text,
    add column industry text,
    add column market_cap float8,
    add column exchange text,
    add column currency text;
