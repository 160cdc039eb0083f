-- purpose: add what committed blocks of units did
-- parameters: whether the units are done (twice); arrays of unit, reached, rows_read, inserted, updated, unchanged,
--   refused, seconds; migration_id
update migration_unit as kept
set state = case when %s::boolean then 'done' else kept.state end, error = case when %s::boolean then null else kept.error end,
    reached = coalesce(given.reached, kept.reached), rows_read = kept.rows_read + given.rows_read,
    inserted = kept.inserted + given.inserted, updated = kept.updated + given.updated,
    unchanged = kept.unchanged + given.unchanged, refused = kept.refused + given.refused,
    seconds = kept.seconds + given.seconds, updated_at = clock_timestamp()
from unnest(
    %s::text[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::float8[]
) as given (unit, reached, rows_read, inserted, updated, unchanged, refused, seconds)
where kept.migration_id = %s and kept.unit = given.unit
