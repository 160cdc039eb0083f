-- Daily closes adjusted for cash and splits, computed from the stored closes and `dividends`, `capital_gains`, `splits`: the close
-- times the product of the factors of every later action up to the series' last bar. What its source withdrew counts not.
--   cash (dividend, capital gain): 1 - amount / close before the ex-date (both on the footing of that day)
--   split:    1 / ratio, unless the stored closes are adjusted for it already
-- `split_adjusted` says whether they are; null: each split is looked up in the closes (those around it lie closer together
-- without its step than with it). After CRSP's cumulative factor to adjust prices, backwards as Yahoo applies it.
create or replace function bars_adjusted(
    of_market text, of_ticker text, from_time timestamptz default '-infinity', to_time timestamptz default 'infinity',
    split_adjusted boolean default null
)
returns table ("time" timestamptz, close float8, adjusted_close float8, factor float8, adjusted float8)
language plpgsql stable as $$
declare
    relation text;
    last_bar timestamptz;
begin
    select format('bars.%I', table_name || '_1d') into relation from market where market = of_market;
    if relation is null then
        raise exception 'there is no market %', of_market
            using errcode = 'invalid_parameter_value', hint = 'See select market from market.';
    end if;
    select last_time into last_bar from series where market = of_market and interval = '1d' and ticker = of_ticker;
    return query execute format(
        $query$
        with action as (
            select time, null::float8 as amount, ratio from splits
            where market = $1 and ticker = $2 and time > $3 and time <= $5 and withdrawn_at is null
            union all
            select time, amount, null from dividends
            where market = $1 and ticker = $2 and time > $3 and time <= $5 and withdrawn_at is null
            union all
            select time, amount, null from capital_gains
            where market = $1 and ticker = $2 and time > $3 and time <= $5 and withdrawn_at is null
        ),
        priced as (
            select action.*, before.close as before_close, after.close as after_close
            from action
            left join lateral (
                select bar.close from %1$s as bar where bar.ticker = $2 and bar.time < action.time
                order by bar.time desc limit 1
            ) as before on true
            left join lateral (
                select bar.close from %1$s as bar where bar.ticker = $2 and bar.time >= action.time
                order by bar.time limit 1
            ) as after on true
        ),
        factored as (
            select
                time,
                case
                    when amount is not null then case when amount < before_close then 1 - amount / before_close else 1 end
                    when coalesce(
                        $6, before_close > 0 and after_close > 0
                            and abs(ln(after_close / before_close)) < abs(ln(after_close * ratio / before_close))
                    ) then 1
                    else 1 / ratio
                end as factor
            from priced
        ),
        cumulated as (
            select time, exp(sum(sum(ln(factor))) over (order by time desc)) as factor from factored group by time
        ),
        spans as (
            select coalesce(lag(time) over (order by time), '-infinity') as since, time as until, factor from cumulated
            union all
            select coalesce(max(time), '-infinity'), 'infinity', 1 from cumulated
        )
        select bar.time, bar.close, bar.adjusted_close, spans.factor, bar.close * spans.factor
        from %1$s as bar join spans on bar.time >= spans.since and bar.time < spans.until
        where bar.ticker = $2 and bar.time >= $3 and bar.time < $4
        order by bar.time
        $query$, relation
    ) using of_market, of_ticker, from_time, to_time, last_bar, split_adjusted;
end
$$;
