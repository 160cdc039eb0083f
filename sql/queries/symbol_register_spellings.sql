-- purpose: keep the spellings of vendors in step with a market's file: of a ticker by the name it has now. Those that were
--   said of a day on are left alone
-- parameters: market; arrays of ticker, vendor, symbol
with shipped as (
    select coalesce(former.ticker, given.ticker) as ticker, given.vendor, given.symbol
    from unnest(%(tickers)s::text[], %(vendors)s::text[], %(symbols)s::text[]) as given (ticker, vendor, symbol)
    left join symbol_alias as former
        on former.market = %(market)s and former.vendor = 'hypertape' and former.symbol = given.ticker
            and former.valid_to = (
                select max(valid_to) from symbol_alias as newest
                where newest.market = %(market)s and newest.vendor = 'hypertape' and newest.symbol = given.ticker
            )
            -- a name that another series bears by now is its own again
            and not exists (select from series where series.market = %(market)s and series.ticker = given.ticker)
),
gone as (
    delete from symbol_alias as kept
    where kept.market = %(market)s and kept.vendor <> 'hypertape' and kept.valid_from = '-infinity'
        and kept.valid_to = 'infinity'
        and not exists (select from shipped where shipped.vendor = kept.vendor and shipped.symbol = kept.symbol)
)
insert into symbol_alias (market, ticker, vendor, symbol)
select distinct on (vendor, symbol) %(market)s, ticker, vendor, symbol
from shipped
order by vendor, symbol, ticker
on conflict (market, vendor, symbol, valid_from) do update
set ticker = excluded.ticker
where symbol_alias.ticker <> excluded.ticker
