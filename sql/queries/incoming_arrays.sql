-- purpose: the rows of a load, from arrays (NaN stands for null); part of write_bars
-- parameters: tickers, times, the value and indicator columns, load_ids (arrays)
(
    select
        ticker, time, open, high, low, close, volume, nullif(adjusted_close, 'NaN') as adjusted_close,
        nullif(ma10, 'NaN') as ma10, nullif(ma20, 'NaN') as ma20, nullif(ma50, 'NaN') as ma50,
        nullif(ma100, 'NaN') as ma100, nullif(ma200, 'NaN') as ma200, nullif(previous_close, 'NaN') as previous_close,
        nullif(previous_volume, 'NaN') as previous_volume, load_id
    from unnest(
        %(tickers)s::text[], %(times)s::timestamptz[], %(open)s::float8[], %(high)s::float8[], %(low)s::float8[],
        %(close)s::float8[], %(volume)s::float8[], %(adjusted_close)s::float8[], %(ma10)s::float8[], %(ma20)s::float8[],
        %(ma50)s::float8[], %(ma100)s::float8[], %(ma200)s::float8[], %(previous_close)s::float8[],
        %(previous_volume)s::float8[], %(load_ids)s::bigint[]
    ) as given (
        ticker, time, open, high, low, close, volume, adjusted_close, ma10, ma20, ma50, ma100, ma200, previous_close,
        previous_volume, load_id
    )
)
