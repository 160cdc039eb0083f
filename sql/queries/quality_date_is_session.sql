-- purpose: daily bars on dates that are no sessions
-- parameters: market
with closed as (
    select (time at time zone 'UTC')::date as day from bar
    except
    select session from public.trading_session where market = {market}
)
select bar.ticker, bar.time, trim(to_char(bar.time at time zone 'UTC', 'Day')) as weekday
from bar join closed on closed.day = (bar.time at time zone 'UTC')::date
