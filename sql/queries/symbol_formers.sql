-- purpose: of some names those that are no longer ours: what each is called now, and since when
-- parameters: market, names
select symbol, ticker, valid_to
from symbol_alias
where market = %(market)s and vendor = 'hypertape' and symbol = any(%(names)s::text[])
    and not exists (
        select from series where series.market = symbol_alias.market and series.ticker = symbol_alias.symbol
    )
order by symbol, valid_to desc
