-- purpose: ticks from arrays, prices and volumes in 1e-8, null as the smallest bigint
-- parameters: symbol_ids, times, sequences, bid, ask, bid_volume, ask_volume, sources
select
    symbol_id, tick_time, sequence,
    nullif(bid, -9223372036854775808) * 0.00000001 as bid_price,
    nullif(ask, -9223372036854775808) * 0.00000001 as ask_price,
    nullif(bid_volume, -9223372036854775808) * 0.00000001 as bid_volume,
    nullif(ask_volume, -9223372036854775808) * 0.00000001 as ask_volume,
    source, place
from unnest(
    %(symbol_ids)s::bigint[], %(times)s::timestamptz[], %(sequences)s::bigint[], %(bid)s::bigint[], %(ask)s::bigint[],
    %(bid_volume)s::bigint[], %(ask_volume)s::bigint[], %(sources)s::text[]
) with ordinality as tick (symbol_id, tick_time, sequence, bid, ask, bid_volume, ask_volume, source, place)
