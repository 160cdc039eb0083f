-- purpose: the tickers of a market that have bars or are listed
-- parameters: market
select ticker from series where market = %(market)s
union
select ticker from symbols where market = %(market)s
