-- purpose: sessions without a daily bar, between each ticker's first and last bar and inside the window; EXCEPT, because
--          a join misjudged as small would compare every session with every bar
-- parameters: market, interval, start, end, tickers
with due as (
    select series.ticker, session.session::timestamp at time zone 'UTC' as time
    from public.series join public.trading_session as session on session.market = series.market
    where series.market = {market} and series.interval = {interval}
        and ({tickers} is null or series.ticker = any({tickers}))
        and session.session between ({start} at time zone 'UTC')::date and ({end} at time zone 'UTC')::date
        and session.session::timestamp at time zone 'UTC' between series.first_time and series.last_time
        and session.session::timestamp at time zone 'UTC' >= {start} and session.session::timestamp at time zone 'UTC' < {end}
),
missing as (
    select ticker, time from due except select ticker, time from bar
)
select missing.ticker, missing.time
from missing
where not exists (
    select from public.gap
    where gap.market = {market} and gap.interval = {interval} and gap.ticker = missing.ticker
        and missing.time >= gap.start_time and missing.time < gap.end_time
        and gap.reason in ('holiday', 'not listed', 'delisted', 'halted') and gap.closed_at is null
)
