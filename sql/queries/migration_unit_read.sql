-- purpose: note what a copy has read of its units, so that their proof need not read the file again; null: not known
-- parameters: arrays of unit, source_rows, source_digest, adjusted_rows, adjusted_digest, refused_rules; migration_id
update migration_unit as kept
set source_rows = given.source_rows, source_digest = given.source_digest, adjusted_rows = given.adjusted_rows,
    adjusted_digest = given.adjusted_digest, refused_rules = given.refused_rules
from unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::jsonb[])
    as given (unit, source_rows, source_digest, adjusted_rows, adjusted_digest, refused_rules)
where kept.migration_id = %s and kept.unit = given.unit
