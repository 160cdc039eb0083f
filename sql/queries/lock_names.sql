-- purpose: take the transaction's advisory lock of each name, in the order given
-- parameters: names
select pg_advisory_xact_lock(hashtextextended(name, 0))
from unnest(%s::text[]) with ordinality as given (name, place)
order by place
