-- What bars refer to: markets, symbols, sessions, corporate actions, and the Stockula tables as they are.
create table market (
    market text primary key,
    table_name text not null unique,
    title text not null,
    timezone text not null,
    calendar text not null,
    created_at timestamptz not null default now()
);

create table symbols (
    symbol_id bigint generated always as identity primary key,
    market text not null,
    ticker text collate "C" not null,
    name text,
    kind text not null default 'stock' check (kind in ('stock', 'index', 'etf', 'crypto')),
    "group" text,
    digits int,
    tick_size float8,
    contract_size float8,
    first_seen timestamptz,
    last_seen timestamptz,
    unique (market, ticker)
);

create table trading_session (
    market text not null,
    session date not null,
    opens_at timestamptz not null,
    closes_at timestamptz not null check (closes_at > opens_at),
    primary key (market, session)
);
comment on table trading_session is 'The calendar as SQL sees it: the sessions of every window that was planned, kept in step with calendars.py.';

create table dividends (
    market text not null,
    ticker text collate "C" not null,
    time timestamptz not null,
    amount float8 not null,
    load_id bigint,
    primary key (market, ticker, time)
);
select hypertape.create_bars('dividends', interval '1 year');

create table splits (
    market text not null,
    ticker text collate "C" not null,
    time timestamptz not null,
    ratio float8 not null check (ratio > 0),
    load_id bigint,
    primary key (market, ticker, time)
);
select hypertape.create_bars('splits', interval '1 year');
comment on column splits.ratio is 'New shares per old share: 2 for a two-for-one split.';

create table options_calls (
    symbol text collate "C" not null,
    expiration_date date not null,
    strike float8 not null,
    contract_symbol text,
    last_price float8,
    bid float8,
    ask float8,
    volume bigint,
    open_interest bigint,
    implied_volatility float8,
    in_the_money boolean,
    created_at timestamptz,
    updated_at timestamptz,
    unique nulls not distinct (symbol, expiration_date, strike, contract_symbol)
);

create table options_puts (like options_calls including all);

create table stock_info (
    symbol text collate "C" primary key,
    info jsonb not null,
    created_at timestamptz,
    updated_at timestamptz
);
