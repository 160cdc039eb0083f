-- purpose: finalised minutes from their ticks, written where they differ; a bar that was there is corrected
-- parameters: market, symbols, times (µs, minutes), first_time, end_time (bounds of all of them)
with wanted as (
    select symbols.ticker as symbol, symbols.symbol_id, minute.opens
    from unnest(%(symbols)s::text[], %(times)s::timestamptz[]) as minute (symbol, opens)
    join symbols on symbols.market = %(market)s and symbols.ticker = minute.symbol
    where minute.opens >= (select dropped_before from tick_state)
),
fresh as (
    select wanted.symbol, wanted.opens, bar.*
    from wanted
    cross join lateral (
        select
            (array_agg(mid order by tick_time, sequence))[1]::numeric(20, 8) as open,
            max(mid)::numeric(20, 8) as high,
            min(mid)::numeric(20, 8) as low,
            (array_agg(mid order by tick_time desc, sequence desc))[1]::numeric(20, 8) as close,
            sum(amount)::numeric(20, 8) as volume,
            (sum(mid * amount) / nullif(sum(amount), 0))::numeric(20, 8) as vwap
        from (
            select
                tick_time, sequence, (coalesce(bid_price, ask_price) + coalesce(ask_price, bid_price)) / 2 as mid,
                coalesce(bid_volume, 0) + coalesce(ask_volume, 0) as amount
            from bars.ticks as tick
            where tick.symbol_id = wanted.symbol_id
                and tick.tick_time >= wanted.opens and tick.tick_time < wanted.opens + interval '1 minute'
                and tick.tick_time >= %(first_time)s and tick.tick_time < %(end_time)s
        ) as quote
        having count(*) > 0
    ) as bar
),
known as (
    select symbol, timestamp from bars_1m
    where symbol = any(%(symbols)s::text[]) and timestamp >= %(first_time)s and timestamp < %(end_time)s
),
written as (
    insert into bars_1m as kept (symbol, timestamp, open, high, low, close, volume, vwap)
    select symbol, opens, open, high, low, close, volume, vwap from fresh
    order by symbol, opens
    on conflict (symbol, timestamp) do update
    set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, vwap = excluded.vwap, corrected_at = clock_timestamp()
    where (kept.open, kept.high, kept.low, kept.close, kept.volume, kept.vwap)
        is distinct from (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.vwap)
    returning symbol, timestamp
)
select written.symbol, written.timestamp, known.symbol is not null
from written left join known using (symbol, timestamp)
order by written.timestamp, written.symbol
