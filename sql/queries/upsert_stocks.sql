-- purpose: keep what a Stockula file knows of its stocks; a null in the file leaves what is stored
-- parameters: market; arrays of symbol, name, sector, industry, market_cap, exchange, currency
insert into symbols as kept (market, ticker, name, "group", sector, industry, market_cap, exchange, currency)
select %s, symbol, name, sector, sector, industry, market_cap, exchange, currency
from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::text[], %s::text[])
    as given (symbol, name, sector, industry, market_cap, exchange, currency)
on conflict (market, ticker) do update
set name = coalesce(kept.name, excluded.name), "group" = coalesce(kept."group", excluded."group"),
    sector = coalesce(excluded.sector, kept.sector), industry = coalesce(excluded.industry, kept.industry),
    market_cap = coalesce(excluded.market_cap, kept.market_cap),
    exchange = coalesce(excluded.exchange, kept.exchange), currency = coalesce(excluded.currency, kept.currency)
where (kept.name is null and excluded.name is not null) or (kept."group" is null and excluded."group" is not null)
    or (excluded.sector is not null and kept.sector is distinct from excluded.sector)
    or (excluded.industry is not null and kept.industry is distinct from excluded.industry)
    or (excluded.market_cap is not null and kept.market_cap is distinct from excluded.market_cap)
    or (excluded.exchange is not null and kept.exchange is distinct from excluded.exchange)
    or (excluded.currency is not null and kept.currency is distinct from excluded.currency)
returning (xmax = 0) as inserted
