-- purpose: what vendors call tickers of a market on a day, the newest word last; dated: somebody said so of a day on
-- parameters: market, on
select vendor, ticker, symbol, valid_from > '-infinity' as dated
from symbol_alias
where market = %(market)s and vendor <> 'hypertape' and valid_from <= %(on)s and valid_to > %(on)s
order by vendor, ticker, valid_from, symbol
