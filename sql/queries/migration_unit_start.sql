-- purpose: note that units are being copied, but for those somebody attempted since they were listed; they come back
-- parameters: arrays of unit, attempts; migration_id
update migration_unit as kept
set state = 'running', attempts = kept.attempts + 1, error = null, updated_at = clock_timestamp()
from unnest(%s::text[], %s::int[]) as listed (unit, attempts)
where kept.migration_id = %s and kept.unit = listed.unit and kept.attempts = listed.attempts and kept.state <> 'done'
returning kept.*
