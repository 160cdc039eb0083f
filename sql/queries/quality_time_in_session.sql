-- purpose: intraday bars that overlap no session; one pass over openings of sessions and bars in order of time, so that
--          the cost does not grow with bars × sessions, and sessions over midnight work
-- parameters: market, start, end, width
with moment as (
    select distinct time from bar
),
event as (
    select opens_at - {width} as at, closes_at, false as is_bar
    from public.trading_session
    where market = {market} and closes_at >= {start} and opens_at < {end} + {width}
    union all
    select time, null, true from moment
),
placed as (
    select at, is_bar, max(closes_at) over (order by at, is_bar desc rows unbounded preceding) as open_until from event
),
outside as (
    select at as time from placed where is_bar and (open_until is null or at > open_until)
)
select bar.ticker, bar.time from bar join outside on outside.time = bar.time
