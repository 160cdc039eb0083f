-- purpose: keep the options of a Stockula file
-- parameters: table; arrays of symbol, expiration_date, strike, contract_symbol, last_price, bid, ask, volume,
--   open_interest, implied_volatility, in_the_money, created_at, updated_at
insert into {table} as kept (
    symbol, expiration_date, strike, contract_symbol, last_price, bid, ask, volume, open_interest,
    implied_volatility, in_the_money, created_at, updated_at
)
select given.*
from unnest(
    %s::text[], %s::date[], %s::float8[], %s::text[], %s::float8[], %s::float8[], %s::float8[], %s::bigint[],
    %s::bigint[], %s::float8[], %s::boolean[], %s::timestamptz[], %s::timestamptz[]
) as given
on conflict (symbol, expiration_date, strike, contract_symbol) do update
set last_price = excluded.last_price, bid = excluded.bid, ask = excluded.ask, volume = excluded.volume,
    open_interest = excluded.open_interest, implied_volatility = excluded.implied_volatility,
    in_the_money = excluded.in_the_money, updated_at = excluded.updated_at
where (
        kept.last_price, kept.bid, kept.ask, kept.volume, kept.open_interest, kept.implied_volatility,
        kept.in_the_money, kept.updated_at
    ) is distinct from (
        excluded.last_price, excluded.bid, excluded.ask, excluded.volume, excluded.open_interest,
        excluded.implied_volatility, excluded.in_the_money, excluded.updated_at
    )
returning (xmax = 0) as inserted
