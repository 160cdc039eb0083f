-- One row per source that is asked over the network: whose turn it is, and whether it answers. Shared by all workers.
create table source_state (
    source text primary key,
    next_turn timestamptz not null default '-infinity',
    state text not null default 'closed' check (state in ('closed', 'open', 'half-open')),
    failures int not null default 0,
    opened_at timestamptz,
    probed_at timestamptz,
    last_ok_at timestamptz,
    last_failed_at timestamptz,
    last_error text
);
comment on column source_state.next_turn is 'The first instant nobody has reserved for a request yet.';
comment on column source_state.state is 'The circuit. Closed: asked. Open: left alone. Half-open: one worker tries it.';
comment on column source_state.failures is 'Failures in a row.';
comment on column source_state.probed_at is 'When the worker that tries it was let through; one that never reports is taken for lost after a pause.';
