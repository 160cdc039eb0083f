-- purpose: closes that moved beyond the limit since the bar before, less the step that the actions between the two explain:
--          splits divide the price by their ratio, cash (dividend, capital gain) takes its amount off; whatever else moved is
--          held to the limit
-- parameters: relation, market, timezone, move_limit, move_limit_within
with moved as (
    select ticker, time, close, previous_close from bar
    where previous_close > 0 and abs(close / previous_close - 1) > least({move_limit}, {move_limit_within})
)
select
    moved.ticker, moved.time, moved.previous_close, moved.close,
    round(((moved.close / moved.previous_close - 1) * 100)::numeric, 2)::float8 as percent,
    nullif(split.ratio, 1) as split, nullif(cash.amount, 0) as cash
from moved
cross join lateral (
    select max(earlier.time) as time from {relation} as earlier
    where earlier.ticker = moved.ticker and earlier.time < moved.time
) as before
cross join lateral (
    select coalesce(exp(sum(ln(action.value))), 1) as ratio from public.corporate_actions as action
    where action.kind = 'split' and action.withdrawn_at is null
        and action.market = {market} and action.ticker = moved.ticker
        and action.time > before.time and action.time <= moved.time
) as split
cross join lateral (
    select coalesce(sum(action.value), 0) as amount from public.corporate_actions as action
    where action.kind in ('dividend', 'capital_gain') and action.withdrawn_at is null
        and action.market = {market} and action.ticker = moved.ticker
        and action.time > before.time and action.time <= moved.time
) as cash
cross join lateral (
    select
        moved.close / moved.previous_close * split.ratio
            / case when cash.amount < moved.previous_close then 1 - cash.amount / moved.previous_close else 1 end
        as left_over,
        case
            when (before.time at time zone {timezone})::date = (moved.time at time zone {timezone})::date then {move_limit_within}
            else {move_limit}
        end as allowed
) as judged
where abs(moved.close / moved.previous_close - 1) > judged.allowed and abs(judged.left_over - 1) > judged.allowed
