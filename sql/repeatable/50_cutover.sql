-- While SQLite is the truth, the warehouse takes only what comes from it: any other load is refused by the database, so
-- that no writer, however old, can leave behind what the truth does not know. The truth is the store of the standing
-- decision, not any SQLite file: a copy says where it reads (`load.source`), a migration's ledger knows it of each series.
create or replace function hypertape.lies_in(place text, address text) returns boolean
language sql immutable
return place = address or starts_with(place, address || '/');

create or replace function hypertape.refuse_stray_load() returns trigger
language plpgsql as $$
declare
    standing cutover;
begin
    select * into standing from cutover order by cutover_id desc limit 1;
    if standing.truth is distinct from 'sqlite' or hypertape.lies_in(new.source, standing.address) or (
        select bool_and(hypertape.lies_in(unit.address, standing.address))
        from migration
        join migration_unit as unit using (migration_id)
        where migration.run_id = new.run_id
            and (unit.market, unit.interval, unit.ticker) = (new.market, new.interval, new.ticker)
    ) then
        return new;
    end if;
    raise exception using
        errcode = 'HT001',
        message = format(
            '%s has been the truth since %s; the warehouse only follows it', standing.address, standing.since
        );
end
$$;

create or replace trigger refuse_stray_load before insert on load
for each row when (new.status = 'loaded') execute function hypertape.refuse_stray_load();
