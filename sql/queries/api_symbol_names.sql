-- purpose: names and groups of a market's symbols
-- parameters: market
select ticker, name, "group" from symbols where market = %(market)s and (name is not null or "group" is not null)
