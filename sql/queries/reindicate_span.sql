-- purpose: let `series` say of a series what its bars say
-- parameters: market, interval, ticker, first, last
update series
set first_time = %(first)s, last_time = %(last)s
where market = %(market)s and interval = %(interval)s and ticker = %(ticker)s
    and (first_time, last_time) is distinct from (%(first)s, %(last)s)
