-- While SQLite is the truth, the warehouse takes only what comes from it: any other load is refused by the database, so
-- that no writer, however old, can leave behind what the truth does not know.
create or replace function hypertape.refuse_stray_load() returns trigger
language plpgsql as $$
declare
    standing cutover;
begin
    select * into standing from cutover order by cutover_id desc limit 1;
    if standing.truth = 'sqlite' and new.source not like 'sqlite%' and new.source not like 'stockula%' then
        raise exception using
            errcode = 'HT001',
            message = format(
                '%s has been the truth since %s; the warehouse only follows it', standing.address, standing.since
            );
    end if;
    return new;
end
$$;

create or replace trigger refuse_stray_load before insert on load
for each row when (new.status = 'loaded') execute function hypertape.refuse_stray_load();
