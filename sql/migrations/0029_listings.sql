-- What the vendors' lists of symbols say, and what changed in them.
create table listing (
    market text not null,
    source text not null,
    ticker text collate "C" not null,
    name text,
    kind text not null,
    exchange text,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    delisted_at timestamptz,
    became text collate "C",
    primary key (market, source, ticker)
);
comment on table listing is 'Each ticker that a vendor''s list of symbols ever had. Nothing is removed: one that is gone is marked.';
comment on column listing.last_seen is 'When a list last had it as one that is traded.';
comment on column listing.delisted_at is 'Since when it is no longer listed: when a list last had it, or when the vendor was first heard to say so. Null: it is.';
comment on column listing.became is 'The ticker under which its name was listed when it went.';

create table listing_event (
    event_id bigint generated always as identity primary key,
    market text not null,
    source text not null,
    ticker text collate "C" not null,
    event text not null check (event in ('listed', 'relisted', 'renamed', 'delisted', 'other name', 'other exchange')),
    former text,
    present text,
    found_at timestamptz not null,
    run_id text not null
);
create index on listing_event (market, found_at);
comment on table listing_event is 'What changed between two lists of a vendor, once per change. renamed: the ticker former is present now.';
