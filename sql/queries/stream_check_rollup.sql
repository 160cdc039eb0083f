-- purpose: compare one level of the candles with its ticks, bucket by bucket, by other means than its own definition
-- parameters: rollup, width; start, end
with bounds as (select greatest(%(start)s::timestamptz, dropped_before) as starts, %(end)s::timestamptz as ends from tick_state),
quote as (
    select
        symbol_id, date_bin({width}, tick_time, timestamptz '2000-01-03 00:00:00+00') as open_time, tick_time, sequence,
        case when bid_price is null then ask_price when ask_price is null then bid_price else (bid_price + ask_price) / 2 end as mid,
        coalesce(bid_volume, 0) as bid_volume, coalesce(ask_volume, 0) as ask_volume
    from bars.ticks, bounds
    where tick_time >= bounds.starts and tick_time < bounds.ends + {width}
),
opened as (select distinct on (symbol_id, open_time) symbol_id, open_time, mid from quote order by symbol_id, open_time, tick_time, sequence),
closed as (
    select distinct on (symbol_id, open_time) symbol_id, open_time, mid from quote
    order by symbol_id, open_time, tick_time desc, sequence desc
),
summed as (
    select symbol_id, open_time, max(mid) as high, min(mid) as low, sum(bid_volume) + sum(ask_volume) as volume, count(*) as tick_count
    from quote group by symbol_id, open_time
),
expected as (
    select symbol_id, open_time, opened.mid as open, high, low, closed.mid as close, volume, tick_count
    from summed join opened using (symbol_id, open_time) join closed using (symbol_id, open_time), bounds
    where open_time >= bounds.starts and open_time < bounds.ends
),
stored as (
    select candle.* from {rollup} as candle, bounds where open_time >= bounds.starts and open_time < bounds.ends
),
compared as (
    select
        symbol_id, open_time,
        (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.tick_count)
            is distinct from (expected.open, expected.high, expected.low, expected.close, expected.volume, expected.tick_count) as differs
    from expected full join stored using (symbol_id, open_time)
),
counted as (select count(*) as buckets, count(*) filter (where differs) as differing from compared),
sample as (select symbol_id, open_time from compared where differs order by open_time, symbol_id limit 20)
select counted.buckets, counted.differing, sample.symbol_id, sample.open_time from counted left join sample on true
