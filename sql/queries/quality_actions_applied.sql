-- purpose: declared actions of the window that the stored closes contradict: a split whose step is not there (or is, where the
--          bars' source adjusts for splits and the history should have been restated), and cash (dividend, capital
--          gain) that is no less than the price; a split too small to be told from a day's move is not judged
-- parameters: relation, market, start, end, tickers, move_limit, adjusting_sources (whose closes are adjusted for splits)
with action as (
    select ticker, time, kind as action, value from public.corporate_actions
    where market = {market} and withdrawn_at is null and time >= {start} and time < {end}
        and ({tickers} is null or ticker = any({tickers}))
),
priced as (
    select
        action.*, before.close as close_before, after.close as close_after,
        coalesce(split_part(load.source, ':', 1) = any({adjusting_sources}), false) as adjusts
    from action
    cross join lateral (
        select bar.close from {relation} as bar
        where bar.ticker = action.ticker and bar.time < action.time and bar.close > 0
        order by bar.time desc limit 1
    ) as before
    cross join lateral (
        select bar.close, bar.load_id from {relation} as bar
        where bar.ticker = action.ticker and bar.time >= action.time and bar.close > 0
        order by bar.time limit 1
    ) as after
    left join public.load on load.load_id = after.load_id
)
select
    ticker, time, action, value, close_before, close_after,
    case
        when action <> 'split' then 'no less than the price: another currency or unit'
        when adjusts then 'the bars before it are not adjusted for it'
        else 'the closes do not show it'
    end as what
from priced
where case
    when action <> 'split' then value >= close_before
    else abs(ln(value)) > ln(1 + {move_limit})
        and (abs(ln(close_after / close_before * value)) < abs(ln(close_after / close_before))) = adjusts
end
