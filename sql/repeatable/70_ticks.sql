-- What readers see of ticks and candles: the documents' names and types.
create or replace view ticks as
select
    tick.symbol_id, symbols.ticker::varchar(50) as symbol_name, tick.tick_time, tick.sequence,
    tick.bid_price, tick.ask_price, tick.bid_volume, tick.ask_volume, tick.source, tick.created_at
from bars.ticks as tick
left join symbols on symbols.symbol_id = tick.symbol_id;

create or replace view ohlc_1m as
select
    candle.symbol_id, symbols.ticker::varchar(50) as symbol_name, candle.open_time, candle.open_time + interval '1 minute' as close_time,
    candle.open::numeric(20, 8) as open_price, candle.high::numeric(20, 8) as high_price,
    candle.low::numeric(20, 8) as low_price, candle.close::numeric(20, 8) as close_price,
    candle.volume::numeric(20, 8) as volume, candle.tick_count
from bars.ohlc_1m as candle
left join symbols on symbols.symbol_id = candle.symbol_id;

create or replace view ohlc_5m as
select
    candle.symbol_id, symbols.ticker::varchar(50) as symbol_name, candle.open_time, candle.open_time + interval '5 minutes' as close_time,
    candle.open::numeric(20, 8) as open_price, candle.high::numeric(20, 8) as high_price,
    candle.low::numeric(20, 8) as low_price, candle.close::numeric(20, 8) as close_price,
    candle.volume::numeric(20, 8) as volume, candle.tick_count
from bars.ohlc_5m as candle
left join symbols on symbols.symbol_id = candle.symbol_id;

create or replace view ohlc_15m as
select
    candle.symbol_id, symbols.ticker::varchar(50) as symbol_name, candle.open_time, candle.open_time + interval '15 minutes' as close_time,
    candle.open::numeric(20, 8) as open_price, candle.high::numeric(20, 8) as high_price,
    candle.low::numeric(20, 8) as low_price, candle.close::numeric(20, 8) as close_price,
    candle.volume::numeric(20, 8) as volume, candle.tick_count
from bars.ohlc_15m as candle
left join symbols on symbols.symbol_id = candle.symbol_id;

create or replace view ohlc_30m as
select
    candle.symbol_id, symbols.ticker::varchar(50) as symbol_name, candle.open_time, candle.open_time + interval '30 minutes' as close_time,
    candle.open::numeric(20, 8) as open_price, candle.high::numeric(20, 8) as high_price,
    candle.low::numeric(20, 8) as low_price, candle.close::numeric(20, 8) as close_price,
    candle.volume::numeric(20, 8) as volume, candle.tick_count
from bars.ohlc_30m as candle
left join symbols on symbols.symbol_id = candle.symbol_id;

create or replace view ohlc_1h as
select
    candle.symbol_id, symbols.ticker::varchar(50) as symbol_name, candle.open_time, candle.open_time + interval '1 hour' as close_time,
    candle.open::numeric(20, 8) as open_price, candle.high::numeric(20, 8) as high_price,
    candle.low::numeric(20, 8) as low_price, candle.close::numeric(20, 8) as close_price,
    candle.volume::numeric(20, 8) as volume, candle.tick_count
from bars.ohlc_1h as candle
left join symbols on symbols.symbol_id = candle.symbol_id;

create or replace view ohlc_4h as
select
    candle.symbol_id, symbols.ticker::varchar(50) as symbol_name, candle.open_time, candle.open_time + interval '4 hours' as close_time,
    candle.open::numeric(20, 8) as open_price, candle.high::numeric(20, 8) as high_price,
    candle.low::numeric(20, 8) as low_price, candle.close::numeric(20, 8) as close_price,
    candle.volume::numeric(20, 8) as volume, candle.tick_count
from bars.ohlc_4h as candle
left join symbols on symbols.symbol_id = candle.symbol_id;

create or replace view ohlc_1d as
select
    candle.symbol_id, symbols.ticker::varchar(50) as symbol_name, candle.open_time, candle.open_time + interval '1 day' as close_time,
    candle.open::numeric(20, 8) as open_price, candle.high::numeric(20, 8) as high_price,
    candle.low::numeric(20, 8) as low_price, candle.close::numeric(20, 8) as close_price,
    candle.volume::numeric(20, 8) as volume, candle.tick_count
from bars.ohlc_1d as candle
left join symbols on symbols.symbol_id = candle.symbol_id;

-- A constant timeframe reads one of them only.
create or replace view ohlc_candles as
select symbol_id, symbol_name, '1m'::varchar(10) as timeframe, open_time, close_time, open_price, high_price, low_price, close_price, volume, tick_count from ohlc_1m
union all
select symbol_id, symbol_name, '5m'::varchar(10) as timeframe, open_time, close_time, open_price, high_price, low_price, close_price, volume, tick_count from ohlc_5m
union all
select symbol_id, symbol_name, '15m'::varchar(10) as timeframe, open_time, close_time, open_price, high_price, low_price, close_price, volume, tick_count from ohlc_15m
union all
select symbol_id, symbol_name, '30m'::varchar(10) as timeframe, open_time, close_time, open_price, high_price, low_price, close_price, volume, tick_count from ohlc_30m
union all
select symbol_id, symbol_name, '1h'::varchar(10) as timeframe, open_time, close_time, open_price, high_price, low_price, close_price, volume, tick_count from ohlc_1h
union all
select symbol_id, symbol_name, '4h'::varchar(10) as timeframe, open_time, close_time, open_price, high_price, low_price, close_price, volume, tick_count from ohlc_4h
union all
select symbol_id, symbol_name, '1d'::varchar(10) as timeframe, open_time, close_time, open_price, high_price, low_price, close_price, volume, tick_count from ohlc_1d;
