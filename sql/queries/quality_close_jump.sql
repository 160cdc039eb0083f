-- purpose: closes that moved beyond the limit since the bar before, without a corporate action between the two
-- parameters: relation, market, timezone, move_limit, move_limit_within
with moved as (
    select ticker, time, close, previous_close from bar
    where previous_close > 0 and abs(close / previous_close - 1) > least({move_limit}, {move_limit_within})
)
select
    moved.ticker, moved.time, moved.previous_close, moved.close,
    round(((moved.close / moved.previous_close - 1) * 100)::numeric, 2)::float8 as percent
from moved cross join lateral (
    select max(earlier.time) as time from {relation} as earlier
    where earlier.ticker = moved.ticker and earlier.time < moved.time
) as before
where abs(moved.close / moved.previous_close - 1) > case
        when (before.time at time zone {timezone})::date = (moved.time at time zone {timezone})::date then {move_limit_within}
        else {move_limit}
    end
    and not exists (
        select from public.splits as action
        where action.market = {market} and action.ticker = moved.ticker and action.withdrawn_at is null
            and action.time > before.time and action.time <= moved.time
    )
    and not exists (
        select from public.dividends as action
        where action.market = {market} and action.ticker = moved.ticker and action.withdrawn_at is null
            and action.time > before.time and action.time <= moved.time
    )
