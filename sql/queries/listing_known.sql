-- purpose: what a vendor's lists said so far
-- parameters: market, source
select ticker, name, kind, exchange, last_seen, delisted_at from listing where market = %(market)s and source = %(source)s
