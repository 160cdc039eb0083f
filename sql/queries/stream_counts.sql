-- purpose: what is open of the stream, and the newest tick since an instant
-- parameters: since, before, market
select
    (select count(*) from feed_gap where closed_at is null) as open_gaps,
    (select count(*) from dead_letter where replayed_at is null) as dead_letters,
    (select count(*) from tick_pending) as pending_ranges,
    (
        select max(newest.tick_time)
        from symbols
        cross join lateral (
            select tick_time from bars.ticks
            where symbol_id = symbols.symbol_id and tick_time >= %(since)s and tick_time < %(before)s
            order by tick_time desc limit 1
        ) as newest
        where symbols.market = %(market)s
    ) as newest_tick
