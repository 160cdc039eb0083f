-- What is wrong, with memory: one row per cause, opened once, kept current, closed when it is over. Reports, pages, the API,
-- doctor and the metrics read it; nobody else computes what is wrong now.
create table finding (
    finding_id bigint generated always as identity primary key,
    cause text not null,
    kind text not null,
    market text,
    interval text,
    tickers text[] collate "C" not null default '{}',
    severity text not null check (severity in ('critical', 'warning', 'note')),
    title text not null,
    mend text not null default '',
    link text,
    evidence jsonb not null default '{}',
    fingerprint text not null,
    opened_at timestamptz not null,
    opened_by text not null,
    last_seen_at timestamptz not null,
    times bigint not null default 1,
    closed_at timestamptz,
    closed_by text,
    acknowledged_at timestamptz,
    acknowledged_by text,
    acknowledged_until timestamptz,
    acknowledged_reason text,
    acknowledged_fingerprint text,
    check ((closed_at is null) = (closed_by is null)),
    check ((acknowledged_at is null) = (acknowledged_reason is null))
);
create unique index finding_open on finding (cause) where closed_at is null;
create index finding_closed on finding (closed_at) where closed_at is not null;
comment on table finding is 'Whatever is wrong: one row per cause, opened once, kept current by whoever looks, closed when it is over.';
comment on column finding.cause is 'What is behind it, as a path: source/yahoo, check/vn/1d/ohlc_order. Unique among the open ones.';
comment on column finding.market is 'Where it is; null where it is of several markets or of the warehouse. The same for interval.';
comment on column finding.fingerprint is 'Of what makes it this bad: severity and tickers, or what its kind names. Another one is a change.';
comment on column finding.times is 'How often somebody looked and found it.';
comment on column finding.acknowledged_fingerprint is 'It is out of the way while this is its fingerprint and acknowledged_until has not come (null: no end).';

-- What checks found wrong is looked up by check; there are few of these among many results.
create index quality_result_wrong on quality_result (market, interval, suite, expectation, target, result_id)
where status in ('failed', 'broken') or (status = 'not_evaluated' and error is not null);
create index quality_result_of_check on quality_result (market, interval, suite, expectation, target, result_id);

-- Rollups and indicators proven over all of history, a part (a month) at a time.
create table proof (
    kind text not null check (kind in ('rollup', 'indicators')),
    market text not null,
    interval text not null,
    part date not null,
    compared bigint not null,
    differing bigint not null,
    tickers text[] collate "C" not null default '{}',
    sample jsonb not null default '[]',
    proved_at timestamptz not null,
    run_id text not null,
    primary key (kind, market, interval, part)
);
create index proof_wrong on proof (kind, market, interval) where differing > 0;
comment on table proof is 'The newest comparison of each month of a rollup (or of stored indicators) with a recomputation from the bars.';
comment on column proof.part is 'The first day of the month; whole buckets that begin in it are compared.';
