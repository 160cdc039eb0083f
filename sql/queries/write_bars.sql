-- purpose: write the rows that differ from what is stored, and count them per ticker. A row whose prices did not change
--   (only its indicators) keeps the load it came from
-- parameters: bars relation, incoming rows
with written as (
    insert into {bars} as kept (
        ticker, time, open, high, low, close, volume, adjusted_close, ma10, ma20, ma50, ma100, ma200, previous_close,
        previous_volume, load_id
    )
    select
        ticker, time, open, high, low, close, volume, adjusted_close, ma10, ma20, ma50, ma100, ma200, previous_close,
        previous_volume, load_id
    from {incoming} as incoming
    on conflict (ticker, time) do update
    set
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, adjusted_close = excluded.adjusted_close, ma10 = excluded.ma10, ma20 = excluded.ma20,
        ma50 = excluded.ma50, ma100 = excluded.ma100, ma200 = excluded.ma200,
        previous_close = excluded.previous_close, previous_volume = excluded.previous_volume,
        load_id = case
            when (kept.open, kept.high, kept.low, kept.close, kept.volume, kept.adjusted_close)
                is distinct from
                (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.adjusted_close)
            then excluded.load_id
            else kept.load_id
        end
    where
        (
            kept.open, kept.high, kept.low, kept.close, kept.volume, kept.adjusted_close, kept.ma10, kept.ma20, kept.ma50,
            kept.ma100, kept.ma200, kept.previous_close, kept.previous_volume
        ) is distinct from (
            excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.adjusted_close,
            excluded.ma10, excluded.ma20, excluded.ma50, excluded.ma100, excluded.ma200, excluded.previous_close,
            excluded.previous_volume
        )
    returning ticker
)
select ticker, count(*) from written group by ticker
