-- What readers see of ticks and of all candles: the documents' names and types.
create or replace view ticks as
select
    tick.symbol_id, symbols.ticker::varchar(50) as symbol_name, tick.tick_time, tick.sequence,
    tick.bid_price, tick.ask_price, tick.bid_volume, tick.ask_volume, tick.source, tick.created_at
from bars.ticks as tick
left join symbols on symbols.symbol_id = tick.symbol_id;

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
