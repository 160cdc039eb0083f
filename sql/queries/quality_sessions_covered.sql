-- purpose: sessions wholly inside the window in which a ticker has no bar at all, between its first and last bar
-- parameters: relation, market, interval, start, judged, width, tickers
with due as (
    select series.ticker, session.session, session.opens_at, session.closes_at
    from public.series join public.trading_session as session on session.market = series.market
    where series.market = {market} and series.interval = {interval}
        and ({tickers} is null or series.ticker = any({tickers}))
        and session.opens_at >= {start} and session.closes_at <= {judged}
        and session.closes_at >= series.first_time and session.opens_at < series.last_time + {width}
)
select due.ticker, due.opens_at as time, due.session::text as session
from due
where not exists (
        select from {relation} as kept
        where kept.ticker = due.ticker and kept.time > due.opens_at - {width} and kept.time <= due.closes_at
    )
    and not exists (
        select from public.gap
        where gap.market = {market} and gap.interval = {interval} and gap.ticker = due.ticker
            and gap.start_time <= due.opens_at and gap.end_time >= due.closes_at
            and gap.reason in ('holiday', 'not listed', 'delisted', 'halted') and gap.closed_at is null
    )
