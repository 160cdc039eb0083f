-- Bars that are stored as delivered although a rule of the gate finds fault with them: open or close outside the range of
-- the day. A flag is a function of the stored prices; the load that writes a bar writes its flags, and takes away those it
-- no longer earns.
create table bar_flag (
    flag_id bigint generated always as identity unique,
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    time timestamptz not null,
    rule text not null,
    value text not null,
    load_id bigint not null,
    flagged_at timestamptz not null default now(),
    primary key (market, interval, ticker, time, rule)
);
create index on bar_flag (load_id);
comment on table bar_flag is 'Stored bars that break a rule which their market only flags. Gone when the bar is corrected.';
comment on column bar_flag.value is 'What breaks the rule: the bar''s prices as they were delivered.';
comment on column bar_flag.load_id is 'The load that wrote the bar as it is.';

alter table load add column flagged int not null default 0;
comment on column load.flagged is 'Bars written by this load that carry a flag (bar_flag).';
