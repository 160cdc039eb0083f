-- purpose: widen the span of stored series and name their open bar
-- parameters: market, interval; arrays of tickers, firsts, lasts, opens (instants; null where no bar is open)
insert into series as kept (market, interval, ticker, first_time, last_time, provisional_time)
select %(market)s, %(interval)s, ticker, first_time, last_time, provisional_time
from unnest(%(tickers)s::text[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[], %(opens)s::timestamptz[])
    as given (ticker, first_time, last_time, provisional_time)
on conflict (market, interval, ticker) do update
set
    first_time = least(kept.first_time, excluded.first_time), last_time = greatest(kept.last_time, excluded.last_time),
    provisional_time = excluded.provisional_time, updated_at = now()
