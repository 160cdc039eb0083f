-- Named instants of knowledge. The columns are named so that forgetting a series leaves them: a pin says what is gone.
create table pin (
    name text primary key check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]*$'),
    market text not null,
    intervals text[] not null,
    known_at timestamptz not null,
    code_version text not null,
    created_at timestamptz not null default clock_timestamp()
);
comment on table pin is 'What bars of a market were known at an instant, and that they still read the same.';

create table pin_block (
    name text not null references pin on delete cascade,
    width text not null,
    symbol text collate "C" not null,
    starts_at timestamptz not null,
    bars int not null,
    digest text not null,
    primary key (name, width, symbol, starts_at)
);
comment on table pin_block is 'The pinned bars of one series, by month (1m), year (1h) or decade (1d): how many, and the digest of their bits.';
