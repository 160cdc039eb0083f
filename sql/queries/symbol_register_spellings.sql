-- purpose: keep the spellings of vendors that ship with a market
-- parameters: market; arrays of ticker, vendor, symbol
insert into symbol_alias (market, ticker, vendor, symbol)
select %(market)s, ticker, vendor, symbol
from unnest(%(tickers)s::text[], %(vendors)s::text[], %(symbols)s::text[]) as given (ticker, vendor, symbol)
on conflict (market, vendor, symbol, valid_from) do update
set ticker = excluded.ticker
where symbol_alias.ticker <> excluded.ticker
