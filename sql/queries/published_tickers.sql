-- purpose: every ticker of a market and interval that publishing knows
-- parameters: market, interval
select ticker from published
where market = %(market)s and interval = %(interval)s
order by ticker
