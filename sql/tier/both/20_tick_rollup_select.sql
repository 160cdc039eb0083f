-- The text every rollup of ticks is made of, on both tiers: from ticks themselves (`source` is bars.ticks), or from the next
-- finer rollup. Ticks of one instant are ordered by their sequence. The mid of a quote with one side is that side; it
-- is kept unrounded, so that rounding happens once, where it is read.
create or replace function hypertape.tick_rollup_select(source text, of_ticks boolean, width interval) returns text
language sql immutable
return case when of_ticks then format(
    $select$
    select
        symbol_id, time_bucket(interval %1$L, tick_time, timestamptz '2000-01-03 00:00:00+00') as open_time,
        (array_agg((coalesce(bid_price, ask_price) + coalesce(ask_price, bid_price)) * 0.5 order by tick_time, sequence))[1] as open,
        max((coalesce(bid_price, ask_price) + coalesce(ask_price, bid_price)) * 0.5) as high,
        min((coalesce(bid_price, ask_price) + coalesce(ask_price, bid_price)) * 0.5) as low,
        (array_agg((coalesce(bid_price, ask_price) + coalesce(ask_price, bid_price)) * 0.5 order by tick_time, sequence))[count(*)] as close,
        sum(coalesce(bid_volume, 0) + coalesce(ask_volume, 0)) as volume,
        count(*) as tick_count
    from %2$s as tick group by 1, 2
    $select$, width, source
) else format(
    $select$
    select
        symbol_id, time_bucket(interval %1$L, open_time, timestamptz '2000-01-03 00:00:00+00') as open_time,
        (array_agg(open order by open_time))[1] as open, max(high) as high, min(low) as low,
        (array_agg(close order by open_time))[count(*)] as close,
        sum(volume) as volume, sum(tick_count)::bigint as tick_count
    from %2$s as candle group by 1, 2
    $select$, width, source
) end;
