-- purpose: add tickers to symbols; what the market's file knows wins over what is stored
-- parameters: market; arrays of ticker, name, kind, group
insert into symbols as kept (market, ticker, name, kind, "group")
select %s, ticker, name, kind, "group"
from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) as given (ticker, name, kind, "group")
on conflict (market, ticker) do update
set name = excluded.name, kind = excluded.kind, "group" = excluded."group"
where excluded.name is not null
    and (kept.name, kept.kind, kept."group") is distinct from (excluded.name, excluded.kind, excluded."group")
