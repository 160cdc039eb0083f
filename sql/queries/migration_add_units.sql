-- purpose: plan a migration's units
-- parameters: migration_id; arrays of unit, part, file, address, table_name, market, interval, ticker, planned
insert into migration_unit (
    migration_id, unit, part, file, address, table_name, market, interval, ticker, planned
)
select %s, given.*
from unnest(
    %s::text[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[]
) as given
