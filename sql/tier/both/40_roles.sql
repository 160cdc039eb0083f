-- Who may do what. The owner is the role that applied the schema first: everything is its own. The writer loads and
-- mends, the reader reads. What only an owner may do and a load needs is done by functions that run as their owner.

-- Of bars only the columns that plans are made by: all sixteen of a hypertable's many chunks take six times as long.
create or replace function hypertape.analyse(relation text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    of_bars boolean := (
        select relnamespace = 'bars'::regnamespace from pg_class where oid = relation::regclass
    );
begin
    execute format('analyze %s %s', relation::regclass, case when of_bars then '(ticker, time)' end);
end
$$;
revoke all on function hypertape.analyse(text) from public;

-- Whose the warehouse is, whoever asks.
create or replace function hypertape.owner() returns name
language sql stable as $$
    select pg_get_userbyid(relowner) from pg_class where oid = 'public.schema_migration'::regclass
$$;

-- What is ours: the owner's relations in the warehouse's schemas, without those that an extension brought.
create or replace function hypertape.owned_relations() returns table (relation regclass, kind "char")
language sql stable
set search_path = public
as $$
    select oid::regclass, relkind from pg_class
    where relnamespace::regnamespace::text in ('public', 'bars', 'published', 'hypertape', 'shim')
        and relkind in ('r', 'v', 'm', 'p', 'S') and pg_get_userbyid(relowner) = hypertape.owner()
        and not exists (
            select from pg_depend
            where objid = pg_class.oid and deptype = 'e' and refclassid = 'pg_extension'::regclass
        )
$$;

-- Grants what is missing, on what there is and on what the owner will make. Nothing changes where nothing is missing.
create or replace function hypertape.grant_roles(writer text, reader text) returns void
language plpgsql as $$
declare
    place text;
    one record;
    ours text := format('alter default privileges for role %I in schema ', hypertape.owner());
begin
    execute format('grant connect on database %I to %I, %I', current_database(), writer, reader);
    execute format('grant temporary on database %I to %I', current_database(), writer);
    for place in
        select nspname from pg_namespace where nspname in ('public', 'bars', 'published', 'hypertape', 'shim')
    loop
        execute format('grant usage on schema %I to %I, %I', place, writer, reader);
        execute ours || format('%I grant select on tables to %I', place, reader);
        execute ours || format('%I grant select, insert, update, delete on tables to %I', place, writer);
        execute ours || format('%I grant usage, select on sequences to %I', place, writer);
    end loop;
    for one in select relation, kind from hypertape.owned_relations() loop
        if one.kind = 'S' then
            execute format('grant usage, select on sequence %s to %I', one.relation, writer);
        elsif one.kind in ('v', 'm') and not hypertape.is_rollup(one.relation) then
            execute format('grant select on %s to %I, %I', one.relation, writer, reader);
        elsif one.relation in ('public.schema_migration'::regclass, 'public.market'::regclass) then
            execute format('revoke insert, update, delete on %s from %I', one.relation, writer);
            execute format('grant select on %s to %I, %I', one.relation, writer, reader);
        elsif one.relation = 'public.api_key'::regclass then  -- a key is found by hypertape.api_key_of only
            execute format('revoke all on %s from %I, %I', one.relation, writer, reader);
        else
            if not has_table_privilege(reader, one.relation, 'select') then
                execute format('grant select on %s to %I', one.relation, reader);
            end if;
            if not (
                select bool_and(has_table_privilege(writer, one.relation, act))
                from unnest('{select,insert,update,delete}'::text[]) as act
            ) then
                execute format('grant select, insert, update, delete on %s to %I', one.relation, writer);
            end if;
        end if;
    end loop;
    for one in  -- those that not everybody may call
        select oid::regprocedure as routine, proname from pg_proc
        where pronamespace = 'hypertape'::regnamespace and proacl is not null and pg_get_userbyid(proowner) = hypertape.owner()
    loop
        execute format('grant execute on function %s to %I', one.routine, writer);
        if one.proname = 'api_key_of' then
            execute format('grant execute on function %s to %I', one.routine, reader);
        end if;
    end loop;
end
$$;
