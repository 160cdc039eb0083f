-- The gap ledger: an entry is a run of sessions in a row that one ticker should have bars for and does not, with one
-- reason. Open entries never overlap; closed ones are history. Who decides and how: docs/decisions/0013-gap-ledger.md.
alter table gap drop constraint gap_pkey;
alter table gap
    add column gap_id bigint generated always as identity primary key,
    add column sessions int not null default 1,
    add column detail text,
    add column former_reason text,
    add column changed_at timestamptz,
    add column attempts int not null default 0,
    add column last_checked_at timestamptz,
    add column healed_run text,
    add column closed_run text,
    add column closed_reason text check (closed_reason in ('arrived', 'not due')),
    add check (start_time < end_time),
    add check (closed_reason is null or closed_at is not null);
create unique index gap_open on gap (market, interval, ticker, start_time) where closed_at is null;
create index gap_closed on gap (market, interval, closed_at) where closed_at is not null;
comment on table gap is 'Bars that should exist and do not, with the reason: one row per run of sessions of a ticker with the same reason.';
comment on column gap.start_time is 'Daily bars: the first missing bar. Else: the opening of the first session without a bar.';
comment on column gap.end_time is 'Daily bars: a day after the last missing bar. Else: the close of the last session without a bar.';
comment on column gap.bars is 'Openings the calendar expects in these sessions; a ticker that trades rarely would not have had them all.';
comment on column gap.detail is 'What is behind the reason: the error, the broken rule of a refused row, the source of a known halt.';
comment on column gap.former_reason is 'The reason before the last change, at changed_at.';
comment on column gap.attempts is 'How often healing asked for it; last_checked_at says when last, healed_run in which run.';
comment on column gap.closed_reason is 'arrived: the bars came, with run closed_run. not due: the calendar or the retention expects them no more.';

create table gap_judged (
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    judged_from timestamptz not null,
    judged_to timestamptz not null,
    primary key (market, interval, ticker)
);
comment on table gap_judged is 'The span of each series that was held against the calendar; outside of it nobody looked for gaps.';

alter table load add column error_kind text;
comment on column load.error_kind is 'The error''s class: NoData and UnknownTicker are answers of the provider, the others are not.';
create index load_windows on load (market, interval, ticker, window_start);
