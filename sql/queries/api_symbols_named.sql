-- purpose: symbols of a name: a feed's own first, then by id
-- parameters: name, market (null: any)
select
    symbol_id, market, ticker, name, kind, "group", digits, tick_size, contract_size, first_seen, last_seen, last_synced_at,
    sector, industry, exchange, currency
from symbols
where ticker = %(name)s and (%(market)s::text is null or market = %(market)s)
order by market = 'stream' desc, symbol_id
limit 1
