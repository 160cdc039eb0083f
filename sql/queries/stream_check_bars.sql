-- purpose: compare finalised minutes with the one-minute candles, as far as raw ticks are kept
-- parameters: market, start, end
with bounds as (select greatest(%(start)s::timestamptz, dropped_before) as starts, %(end)s::timestamptz as ends from tick_state),
candle as (
    select symbols.ticker as symbol, ohlc_1m.open_time as timestamp, open_price, high_price, low_price, close_price, volume
    from ohlc_1m join symbols using (symbol_id), bounds
    where symbols.market = %(market)s and open_time >= bounds.starts and open_time < bounds.ends
),
bar as (
    select bars_1m.* from bars_1m
    join symbols on symbols.market = %(market)s and symbols.ticker = bars_1m.symbol, bounds
    where timestamp >= bounds.starts and timestamp < bounds.ends
),
compared as (
    select
        symbol, timestamp,
        (bar.open, bar.high, bar.low, bar.close, bar.volume) is distinct from
        (candle.open_price, candle.high_price, candle.low_price, candle.close_price, candle.volume) as differs
    from candle full join bar using (symbol, timestamp)
),
counted as (select count(*) as compared from compared),
differing as (select symbol, timestamp from compared where differs order by timestamp, symbol)
select counted.compared, differing.symbol, differing.timestamp from counted left join differing on true
