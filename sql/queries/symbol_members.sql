-- purpose: the tickers of a market's groups on a day, by their present names
-- parameters: market, group (null: every one), on
select group_name, ticker
from group_member
where market = %(market)s and (%(group)s::text is null or group_name = %(group)s)
    and valid_from <= %(on)s and valid_to > %(on)s
order by group_name, ticker
