-- What the warehouse knows of its backups. The backups themselves, with manifests and verdicts, lie outside of it.
create table backup (
    name text primary key,
    place text not null,
    made_at timestamptz not null,
    seconds double precision not null,
    bytes bigint not null,
    rows bigint not null,
    sha256 text not null,
    run_id text not null,
    fresh_for interval not null,
    checked_at timestamptz,
    verified_at timestamptz,
    verdict text check (verdict in ('whole', 'broken')),
    reason text,
    removed_at timestamptz
);
comment on table backup is 'Every backup made of this warehouse: where it lies, when it was verified and what came of it.';
comment on column backup.place is 'The directory or object store, without credentials.';
comment on column backup.fresh_for is 'For so long it is new enough, once verified; what was set when it was made.';
comment on column backup.checked_at is 'When somebody last looked at it; verdict and reason are of then.';
comment on column backup.verified_at is 'When it was last restored into a scratch database and held what it was made of.';
