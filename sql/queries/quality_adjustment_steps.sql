-- purpose: changes of adjusted_close / close from bar to bar without a corporate action between the two
-- parameters: market, adjustment_tolerance
with stepped as (
    select
        ticker, time, adjusted_close / close as ratio, lag(adjusted_close / close) over series as ratio_before,
        lag(time) over series as time_before
    from bar
    where adjusted_close > 0 and close > 0
    window series as (partition by ticker order by time)
)
select ticker, time, ratio_before, ratio
from stepped
where abs(ratio - ratio_before) > {adjustment_tolerance} * ratio_before
    and not exists (
        select from public.splits as action
        where action.market = {market} and action.ticker = stepped.ticker and action.withdrawn_at is null
            and action.time > stepped.time_before and action.time <= stepped.time
    )
    and not exists (
        select from public.dividends as action
        where action.market = {market} and action.ticker = stepped.ticker and action.withdrawn_at is null
            and action.time > stepped.time_before and action.time <= stepped.time
    )
