-- purpose: keep dividends or splits as the source reports them; a row for each that is new or different
-- parameters: table, value column; market; arrays of ticker, time, value
insert into {table} as kept (market, ticker, time, {value})
select distinct on (ticker, time) %s, ticker, time, value
from unnest(%s::text[], %s::timestamptz[], %s::float8[]) as given (ticker, time, value)
on conflict (market, ticker, time) do update
set {value} = excluded.{value}
where kept.{value} is distinct from excluded.{value}
returning (xmax = 0) as inserted
