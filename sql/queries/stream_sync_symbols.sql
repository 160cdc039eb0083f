-- purpose: take over what a feed lists of its symbols; what it leaves out stays
-- parameters: market, symbols, names, digits, tick_sizes, contract_sizes, now
insert into symbols (market, ticker, kind, name, digits, tick_size, contract_size, last_synced_at)
select %(market)s, symbol, 'other', name, digits, tick_size, contract_size, %(now)s
from unnest(
    %(symbols)s::text[], %(names)s::text[], %(digits)s::int[], %(tick_sizes)s::float8[], %(contract_sizes)s::float8[]
) as listed (symbol, name, digits, tick_size, contract_size)
order by symbol
on conflict (market, ticker) do update
set name = coalesce(excluded.name, symbols.name),
    digits = coalesce(excluded.digits, symbols.digits),
    tick_size = coalesce(excluded.tick_size, symbols.tick_size),
    contract_size = coalesce(excluded.contract_size, symbols.contract_size),
    last_synced_at = excluded.last_synced_at
