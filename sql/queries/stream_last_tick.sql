-- purpose: the newest tick of a feed before an instant, and its number
-- parameters: market, source, symbol (null: any), since, before, stored_before (null: whenever it was stored)
select newest.tick_time, newest.sequence
from symbols
cross join lateral (
    select tick_time, sequence from bars.ticks
    where symbol_id = symbols.symbol_id and source = %(source)s and tick_time >= %(since)s and tick_time < %(before)s
        and (%(stored_before)s::timestamptz is null or created_at < %(stored_before)s)
    order by tick_time desc, sequence desc limit 1
) as newest
where symbols.market = %(market)s and (%(symbol)s::text is null or symbols.ticker = %(symbol)s)
order by newest.tick_time desc, newest.sequence desc
limit 1
