-- purpose: tickers whose last bar is too many closed sessions old
-- parameters: market, interval, judged, freshness_sessions, tickers
select series.ticker, series.last_time as time, count(*) as sessions_behind
from public.series join public.trading_session as session
    on session.market = series.market
    and case
        when series.interval = '1d' then session.session > (series.last_time at time zone 'UTC')::date
        else session.opens_at > series.last_time
    end
where series.market = {market} and series.interval = {interval}
    and ({tickers} is null or series.ticker = any({tickers}))
    and session.closes_at <= {judged}
    and not exists (
        select from public.gap
        where gap.market = {market} and gap.interval = {interval} and gap.ticker = series.ticker
            and gap.closed_at is null
            and (
                (gap.reason in ('delisted', 'halted') and gap.end_time > series.last_time)
                or (gap.reason = 'holiday' and gap.start_time < session.closes_at and gap.end_time > session.opens_at)
            )
    )
group by series.ticker, series.last_time
having count(*) > {freshness_sessions}
