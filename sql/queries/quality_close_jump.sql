-- purpose: closes that moved beyond the limit since the bar before, less the step that the actions between the two explain:
--          splits divide the price by their ratio, a dividend takes its amount off; whatever else moved is held to the limit
-- parameters: relation, market, timezone, move_limit, move_limit_within
with moved as (
    select ticker, time, close, previous_close from bar
    where previous_close > 0 and abs(close / previous_close - 1) > least({move_limit}, {move_limit_within})
)
select
    moved.ticker, moved.time, moved.previous_close, moved.close,
    round(((moved.close / moved.previous_close - 1) * 100)::numeric, 2)::float8 as percent,
    nullif(split.ratio, 1) as split, nullif(dividend.amount, 0) as dividend
from moved
cross join lateral (
    select max(earlier.time) as time from {relation} as earlier
    where earlier.ticker = moved.ticker and earlier.time < moved.time
) as before
cross join lateral (
    select coalesce(exp(sum(ln(action.ratio))), 1) as ratio from public.splits as action
    where action.market = {market} and action.ticker = moved.ticker and action.withdrawn_at is null
        and action.time > before.time and action.time <= moved.time
) as split
cross join lateral (
    select coalesce(sum(action.amount), 0) as amount from public.dividends as action
    where action.market = {market} and action.ticker = moved.ticker and action.withdrawn_at is null
        and action.time > before.time and action.time <= moved.time
) as dividend
cross join lateral (
    select
        moved.close / moved.previous_close * split.ratio
            / case when dividend.amount < moved.previous_close then 1 - dividend.amount / moved.previous_close else 1 end
        as left_over,
        case
            when (before.time at time zone {timezone})::date = (moved.time at time zone {timezone})::date then {move_limit_within}
            else {move_limit}
        end as allowed
) as judged
where abs(moved.close / moved.previous_close - 1) > judged.allowed and abs(judged.left_over - 1) > judged.allowed
