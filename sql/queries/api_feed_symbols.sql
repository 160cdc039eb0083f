-- purpose: the symbols of feeds, by name
-- parameters: market, rows
select symbol_id, ticker, name, digits, tick_size, contract_size, last_synced_at
from symbols
where market = %(market)s
order by ticker
limit %(rows)s
