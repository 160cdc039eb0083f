-- purpose: closed sessions without any trade
-- parameters: market, judged, indices (tickers that are not traded themselves)
select bar.ticker, bar.time, bar.close
from bar join public.trading_session as session
    on session.market = {market} and session.session = (bar.time at time zone 'UTC')::date
where bar.volume = 0 and session.closes_at <= {judged} and bar.ticker <> all({indices})
