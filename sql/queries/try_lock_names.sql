-- purpose: take the transaction's advisory lock of each name that nobody holds, and say which those are
-- parameters: names
select name
from unnest(%s::text[]) as given (name)
where pg_try_advisory_xact_lock(hashtextextended(name, 0))
