-- purpose: sessions without a daily bar, between each ticker's first and last bar and inside the window
-- parameters: market, interval, start, end, tickers
with due as (
    select series.ticker, session.session::timestamp at time zone 'UTC' as time
    from public.series join public.trading_session as session on session.market = series.market
    where series.market = {market} and series.interval = {interval}
        and ({tickers} is null or series.ticker = any({tickers}))
        and session.session >= ({start} at time zone 'UTC')::date and session.session <= ({end} at time zone 'UTC')::date
        and session.session::timestamp at time zone 'UTC' between series.first_time and series.last_time
        and session.session::timestamp at time zone 'UTC' >= {start} and session.session::timestamp at time zone 'UTC' < {end}
)
select due.ticker, due.time
from due left join bar on bar.ticker = due.ticker and bar.time = due.time
where bar.ticker is null
    and not exists (
        select from public.gap
        where gap.market = {market} and gap.interval = {interval} and gap.ticker = due.ticker
            and due.time >= gap.start_time and due.time < gap.end_time
            and gap.reason in ('holiday', 'not listed', 'delisted', 'halted')
    )
