-- purpose: closed days whose bar does not contain the day's hours or minutes, or does not end at their close
-- parameters: day_relation, narrow_relation, market, start, end, judged, narrow_width, day_tolerance, tickers
with session as (
    select session::timestamp at time zone 'UTC' as day, opens_at, closes_at
    from public.trading_session
    where market = {market} and closes_at <= {judged} and (
        (session::timestamp at time zone 'UTC' >= {start} and session::timestamp at time zone 'UTC' < {end})
        or (opens_at >= {start} and closes_at <= {end})
    )
),
span as (
    select min(opens_at) - {narrow_width} as starts, max(closes_at) as ends from session
),
compared as (
    select distinct ticker from {day_relation}
    where time >= {start} - interval '1 day' and time < {end} and ({tickers} is null or ticker = any({tickers}))
),
narrow as materialized (
    select ticker, time, high, low from {narrow_relation}
    where time > {start} - interval '2 days' and time < {end} + interval '2 days'
        and time > (select starts from span) and time <= (select ends from span)
        and ticker in (select ticker from compared)
),
event as (
    select opens_at - {narrow_width} as at, day, closes_at, false as is_bar from session
    union all
    select distinct time, null::timestamptz, null::timestamptz, true from narrow
),
opened as (
    select at, is_bar, max(day) over history as day, max(closes_at) over history as open_until
    from event
    window history as (order by at, is_bar desc rows unbounded preceding)
),
placed as (
    select at as time, day from opened where is_bar and at <= open_until
),
intraday as (
    select
        narrow.ticker, placed.day, max(narrow.high) as high, min(narrow.low) as low, max(narrow.time) as last_time
    from narrow join placed on placed.time = narrow.time
    group by narrow.ticker, placed.day
)
select
    intraday.ticker, intraday.day as time, day.low as day_low, intraday.low as intraday_low, day.high as day_high,
    intraday.high as intraday_high, day.close as day_close, final.close as intraday_close
from intraday join {day_relation} as day on day.ticker = intraday.ticker and day.time = intraday.day
    join {narrow_relation} as final on final.ticker = intraday.ticker and final.time = intraday.last_time
where day.time >= {start} - interval '1 day' and day.time < {end}
    and final.time > {start} - interval '2 days' and final.time < {end} + interval '2 days'
    and (
        intraday.low < day.low - {day_tolerance} * abs(day.low)
        or intraday.high > day.high + {day_tolerance} * abs(day.high)
        or abs(final.close - day.close) > {day_tolerance} * abs(day.close)
    )
