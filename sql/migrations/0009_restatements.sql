-- Restatements: why a load was made, which open bar it found final, and what became of every suspicion.
alter table load
    add column reason text,
    add column finalised timestamptz;
comment on column load.reason is 'Why the load was made, where it is not a regular one: what was typed into the form, replay, restatement.';
comment on column load.finalised is 'The bar that had been open and that this load left final with the values it had: known as final from this load on.';
comment on column load.loaded_at is 'The last thing a load does before it commits, one instant for all its rows.';
create index on load (market, interval, ticker, finalised) where finalised is not null;

create index on bar_revision (replaced_by);

create table restatement (
    restatement_id bigint generated always as identity primary key,
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    source text not null,
    state text not null default 'suspected' check (state in ('suspected', 'confirmed', 'local', 'reread')),
    direction text not null check (direction in ('up', 'down', 'mixed')),
    ratio float8,
    bars int not null,
    first_changed timestamptz not null,
    last_changed timestamptz not null,
    compared_from timestamptz not null,
    found_run text not null,
    found_load bigint not null,
    found_at timestamptz not null default now(),
    checked int,
    differing int,
    checked_run text,
    checked_at timestamptz,
    reread_run text,
    reread_load bigint,
    reread_from timestamptz,
    reread_at timestamptz,
    error text
);
create unique index on restatement (market, interval, ticker) where state in ('suspected', 'confirmed');
create index on restatement (market, interval, ticker, found_at);
comment on table restatement is 'Changes of final bars by the vendor that gave them: suspected when a load changes some, then local (no other bar differs) or confirmed (others do), and reread when the whole history was loaded again. At most one of a series is open.';
comment on column restatement.direction is 'Whether the new prices are higher or lower than the former ones.';
comment on column restatement.ratio is 'Median of new over former closes; of adjusted closes where no close changed; null where neither did.';
comment on column restatement.bars is 'Final bars that changed in the loads that raised the suspicion.';
comment on column restatement.compared_from is 'Bars before this instant were not in the answer that raised the suspicion.';
comment on column restatement.checked is 'Stored bars before compared_from that were compared with the vendor''s again, and how many of them differ.';
comment on column restatement.reread_from is 'Opening of the first bar of the vendor''s answer: older bars are beyond its reach and stay as they were.';
