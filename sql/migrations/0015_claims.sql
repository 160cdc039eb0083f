-- Claims: leases on units of work, one table for everything that is worked on in units by several workers.
create sequence claim_token;

create table claim (
    kind text not null,
    unit text not null,
    worker_id text not null,
    token bigint not null,
    state text not null check (state in ('running', 'done', 'failed', 'released')),
    tries int not null,
    taken_at timestamptz not null,
    ended_at timestamptz,
    error text,
    primary key (kind, unit)
);
create index on claim (worker_id) where state = 'running';
create index on claim (ended_at) where state <> 'running';
comment on table claim is 'Who works on what: one row per unit, its newest claim. A running one holds as long as its worker beats (worker_heartbeat).';
comment on column claim.token is 'Grows with each time a unit is taken: who comes back with an older one has lost it and writes nothing more.';
comment on column claim.tries is 'How often the unit was taken since it was last done.';

alter table worker_heartbeat add column started_at timestamptz not null default clock_timestamp();
alter table worker_heartbeat add column place text not null default '';
alter table worker_heartbeat add column pid int;
alter table worker_heartbeat add column process_started float8;
comment on column worker_heartbeat.place is 'The host and process namespace in which pid means something: there a dead process is known to be dead at once.';
