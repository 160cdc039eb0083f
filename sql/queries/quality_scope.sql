-- purpose: what a suite looks at, counted: bars, those with an adjusted close, tickers, and the sessions its tickers should have bars for
-- parameters: relation, market, interval, start, end, judged, width, tickers
with counted as (
    select count(*) as bars, count(adjusted_close) as adjusted, count(distinct ticker) as tickers from {relation}
    where time >= {start} and time < {end} and ({tickers} is null or ticker = any({tickers}))
),
kept as (
    select market, ticker, first_time, last_time from public.series
    where market = {market} and interval = {interval} and ({tickers} is null or ticker = any({tickers}))
)
select
    counted.bars, counted.adjusted, counted.tickers, (select count(*) from kept) as series,
    (
        select count(*) from kept join public.trading_session as session on session.market = kept.market
        where case
            when {interval} = '1d'
            then session.session::timestamp at time zone 'UTC' >= greatest(kept.first_time, {start})
                and session.session::timestamp at time zone 'UTC' < {end}
            else session.opens_at >= {start} and session.closes_at <= {end} and session.closes_at >= kept.first_time
        end and session.closes_at <= {judged}
    ) as sessions
from counted
