-- purpose: daily bars on dates that are no sessions
-- parameters: market
with closed as (
    select time from bar
    except
    select session::timestamp at time zone 'UTC' from public.trading_session where market = {market}
)
select bar.ticker, bar.time, trim(to_char(bar.time at time zone 'UTC', 'Day')) as weekday
from bar join closed on closed.time = bar.time
