-- purpose: keep dividends or splits of a Stockula file; an old copy brings back nothing that its source withdrew
-- parameters: table, value column; market; arrays of symbol, date, value
insert into {table} as kept (market, ticker, time, {value})
select %s, symbol, date::timestamp at time zone 'UTC', value
from unnest(%s::text[], %s::date[], %s::float8[]) as given (symbol, date, value)
on conflict (market, ticker, time) do update
set {value} = excluded.{value}
where kept.{value} is distinct from excluded.{value} and kept.withdrawn_at is null
returning (xmax = 0) as inserted
