-- purpose: register symbols of feeds that are not known, and return the ids of all that this statement sees
-- parameters: market, symbols
with given as (select %s::text as market, unnest(%s::text[]) as ticker),
added as (
    insert into symbols (market, ticker, kind) select market, ticker, 'other' from given
    on conflict (market, ticker) do nothing
    returning ticker, symbol_id
)
select ticker, symbol_id from added
union all
select symbols.ticker, symbols.symbol_id from given join symbols using (market, ticker)
