-- purpose: daily bars on dates that are no sessions
-- parameters: market
select bar.ticker, bar.time, trim(to_char(bar.time at time zone 'UTC', 'Day')) as weekday
from bar
where not exists (
    select from public.trading_session as session
    where session.market = {market} and session.session = (bar.time at time zone 'UTC')::date
)
