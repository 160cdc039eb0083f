-- purpose: note what a vendor calls a ticker from a day on; what it called it until then ends on that day, and what was said
--   of later days is no longer so
-- parameters: market, ticker, vendor, symbol, on
with later as (
    delete from symbol_alias
    where market = %(market)s and vendor = %(vendor)s and valid_from >= %(on)s
        and (ticker = %(ticker)s or symbol = %(symbol)s) and (symbol, valid_from) <> (%(symbol)s, %(on)s)
),
earlier as (
    update symbol_alias set valid_to = %(on)s
    where market = %(market)s and vendor = %(vendor)s and valid_from < %(on)s and valid_to > %(on)s
        and (ticker = %(ticker)s or symbol = %(symbol)s)
)
insert into symbol_alias (market, ticker, vendor, symbol, valid_from)
values (%(market)s, %(ticker)s, %(vendor)s, %(symbol)s, %(on)s)
on conflict (market, vendor, symbol, valid_from) do update
set ticker = excluded.ticker, valid_to = 'infinity'
