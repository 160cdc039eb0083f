-- purpose: how many tickers and bars of some sessions there are
-- parameters: relation (published); market, sessions
select session.session, count(distinct bar.ticker), count(bar.ticker)
from trading_session as session
left join {relation} as bar
    on bar.time >= least(session.opens_at, session.session::timestamp at time zone 'UTC')
    and bar.time < greatest(session.closes_at, (session.session + 1)::timestamp at time zone 'UTC')
where session.market = %(market)s and session.session = any(%(sessions)s)
group by session.session
order by session.session
