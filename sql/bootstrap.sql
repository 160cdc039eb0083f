-- Runs first at every apply, inside its transaction: the schemas, TimescaleDB where the server offers the Community
-- edition, and the names every session resolves.
create schema if not exists hypertape;
create schema if not exists bars;

do $$
begin
    if exists (select from pg_available_extensions where name = 'timescaledb')
        -- known once the library is loaded; shared_preload_libraries itself is hidden from ordinary roles
        and current_setting('timescaledb.max_background_workers', true) is not null
        and not exists (select from pg_extension where extname = 'timescaledb')
    then
        create extension timescaledb schema public;
    end if;
end
$$;

-- The Apache edition has no continuous aggregates, compression or policies: it counts as plain PostgreSQL.
create or replace function hypertape.server_tier() returns text
language sql stable
return case
    when exists (select from pg_extension where extname = 'timescaledb')
        and current_setting('timescaledb.license', true) = 'timescale'
    then 'timescaledb'
    else 'plain'
end;

create table if not exists public.schema_migration (
    name text not null,
    market text not null default '',
    sha256 text not null,
    version text not null,
    tier text not null,
    applied_at timestamptz not null default now(),
    primary key (name, market)
);
comment on table public.schema_migration is 'Every script of sql/ that ran here, with the hash of its text. market is empty unless the script runs once per market.';
