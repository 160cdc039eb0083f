-- purpose: every spelling of vendors that was ever noted, with its days, a null for an open end
-- parameters: market, vendor, tickers (each null: all)
select
    market, ticker, vendor as source, symbol, nullif(valid_from, '-infinity')::text as since,
    nullif(valid_to, 'infinity')::text as until
from symbol_alias
where vendor <> 'hypertape' and (%(market)s::text is null or market = %(market)s)
    and (%(vendor)s::text is null or vendor = %(vendor)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s))
order by market, ticker, vendor, valid_from, symbol
