-- purpose: the tickers that a critical check holds
-- parameters: market, interval
select ticker from published
where market = %(market)s and interval = %(interval)s and held_at is not null
order by ticker
