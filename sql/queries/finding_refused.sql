-- purpose: refused rows that were not released, by series and rule
-- parameters: market, interval (null: all)
select market, interval, ticker, rule, count(*) as refused
from quarantine
where released_at is null
    and (%(market)s::text is null or market = %(market)s)
    and (%(interval)s::text is null or interval = %(interval)s)
group by market, interval, ticker, rule
order by market, interval, ticker, rule
