-- purpose: what a part's newest proof says, locked
-- parameters: kind, market, interval, part
select sample from proof
where kind = %(kind)s and market = %(market)s and interval = %(interval)s and part = %(part)s
for update
