-- purpose: sessions of the window that closed after each ticker's last bar
-- parameters: market, interval, start, judged, tickers
select series.ticker, session.session::timestamp at time zone 'UTC' as time, series.last_time as last_bar
from public.series join public.trading_session as session
    on session.market = series.market
    and case
        when series.interval = '1d' then session.session > (series.last_time at time zone 'UTC')::date
        else session.opens_at > series.last_time
    end
where series.market = {market} and series.interval = {interval}
    and ({tickers} is null or series.ticker = any({tickers}))
    and session.closes_at > {start} and session.closes_at <= {judged}
    and not exists (
        select from public.gap
        where gap.market = {market} and gap.interval = {interval} and gap.ticker = series.ticker
            and gap.reason in ('holiday', 'not listed', 'delisted', 'halted') and gap.closed_at is null
            and gap.start_time < session.closes_at and gap.end_time > session.opens_at
    )
