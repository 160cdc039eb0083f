-- What readers see of the candles of one timeframe: the documents' names and types.
create or replace view {public} as
select
    candle.symbol_id, symbols.ticker::varchar(50) as symbol_name, candle.open_time, candle.open_time + interval {width} as close_time,
    candle.open::numeric(20, 8) as open_price, candle.high::numeric(20, 8) as high_price,
    candle.low::numeric(20, 8) as low_price, candle.close::numeric(20, 8) as close_price,
    candle.volume::numeric(20, 8) as volume, candle.tick_count
from {bars} as candle
left join symbols on symbols.symbol_id = candle.symbol_id;
