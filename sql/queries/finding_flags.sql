-- purpose: stored bars that carry a flag, by series and rule
-- parameters: market, interval (null: all)
select market, interval, ticker, rule, count(*) as bars, min(time) as first_time, max(time) as last_time
from bar_flag
where (%(market)s::text is null or market = %(market)s)
    and (%(interval)s::text is null or interval = %(interval)s)
group by market, interval, ticker, rule
order by market, interval, ticker, rule
