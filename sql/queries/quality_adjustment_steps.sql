-- purpose: changes of adjusted_close / close from bar to bar that are not those of the actions between the two: a step without
--          an action, and an action without its step. That of cash (dividend, capital gain) is 1 - amount / close before,
--          a split's 1 / ratio where the closes show the split themselves, else none
-- parameters: relation, market, start, end, tickers, adjustment_tolerance, dividend_tolerance (share of the yield)
with stepped as (
    select
        ticker, time, close, lag(close) over series as close_before, adjusted_close / close as ratio,
        lag(adjusted_close / close) over series as ratio_before
    from bar
    where adjusted_close > 0 and close > 0
    window series as (partition by ticker order by time)
),
action as (
    select
        ticker, time, case when kind = 'split' then value end as ratio, case when kind <> 'split' then value end as amount
    from public.corporate_actions
    where market = {market} and withdrawn_at is null and time >= {start} and time < {end}
        and ({tickers} is null or ticker = any({tickers}))
),
declared as (
    select
        action.ticker, shown.time, coalesce(exp(sum(ln(action.ratio))), 1) as split, coalesce(sum(action.amount), 0) as amount
    from action cross join lateral (
        select min(later.time) as time from {relation} as later
        where later.ticker = action.ticker and later.time >= action.time and later.adjusted_close > 0 and later.close > 0
    ) as shown
    group by action.ticker, shown.time
),
judged as (
    select
        stepped.ticker, stepped.time, stepped.ratio_before, stepped.ratio, declared.amount, declared.split,
        coalesce(declared.amount, 0) / stepped.close_before as yield,
        stepped.ratio_before / stepped.ratio * case
            when abs(ln(stepped.close / stepped.close_before * declared.split)) < abs(ln(stepped.close / stepped.close_before))
            then declared.split
            else 1
        end as step
    from stepped left join declared on declared.ticker = stepped.ticker and declared.time = stepped.time
    where stepped.ratio_before is not null
)
select
    ticker, time, ratio_before, ratio, round(step::numeric, 6)::float8 as step, round((1 - yield)::numeric, 6)::float8 as expected,
    amount as cash, nullif(split, 1) as split
from judged
where abs(step - (1 - yield)) > greatest({adjustment_tolerance}, {dividend_tolerance} * yield)
