-- purpose: symbols by id
-- parameters: markets (null: all), symbol_id (null: all), after_symbol_id (null: from the first), rows
select
    symbol_id, market, ticker, name, kind, "group", digits, tick_size, contract_size, first_seen, last_seen, sector,
    industry, exchange, currency
from symbols
where (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
    and (%(symbol_id)s::bigint is null or symbol_id = %(symbol_id)s::bigint)
    and (%(after_symbol_id)s::bigint is null or symbol_id > %(after_symbol_id)s::bigint)
order by symbol_id
limit %(rows)s
