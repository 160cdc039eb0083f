-- purpose: widen the span of stored series and name their open bar
-- parameters: market, interval; arrays of ticker, first_time, last_time, provisional_time
insert into series as kept (market, interval, ticker, first_time, last_time, provisional_time)
select %s, %s, ticker, first_time, last_time, provisional_time
from unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
    as given (ticker, first_time, last_time, provisional_time)
on conflict (market, interval, ticker) do update
set
    first_time = least(kept.first_time, excluded.first_time), last_time = greatest(kept.last_time, excluded.last_time),
    provisional_time = excluded.provisional_time, updated_at = now()
