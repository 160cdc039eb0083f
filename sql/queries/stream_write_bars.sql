-- purpose: upsert finalised minutes; prices and volumes in 1e-8, null as the smallest bigint
-- parameters: symbols, times, open, high, low, close, volume, vwap
insert into bars_1m as kept (symbol, timestamp, open, high, low, close, volume, vwap)
select
    symbol, timestamp, open * 0.00000001, high * 0.00000001, low * 0.00000001, close * 0.00000001, volume * 0.00000001,
    nullif(vwap, -9223372036854775808) * 0.00000001
from unnest(
    %(symbols)s::text[], %(times)s::timestamptz[], %(open)s::bigint[], %(high)s::bigint[], %(low)s::bigint[],
    %(close)s::bigint[], %(volume)s::bigint[], %(vwap)s::bigint[]
) as bar (symbol, timestamp, open, high, low, close, volume, vwap)
on conflict (symbol, timestamp) do update
set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, vwap = excluded.vwap
where (kept.open, kept.high, kept.low, kept.close, kept.volume, kept.vwap)
    is distinct from (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.vwap)
