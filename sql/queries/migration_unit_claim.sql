-- purpose: take units for the length of this transaction; false for those that another worker has
-- parameters: arrays of unit and its lock's name
select unit, pg_try_advisory_xact_lock(hashtextextended(name, 0))
from unnest(%s::text[], %s::text[]) as wanted (unit, name)
