-- purpose: close the gaps in the numbers of symbols (or, where a gap has no symbol, of a feed) whose every number is stored
-- parameters: by, market
update feed_gap as gap
set closed_at = clock_timestamp(), closed_by = %(by)s
where gap.closed_at is null and gap.reason = 'sequence'
    and gap.end_time is not null and gap.first_sequence - gap.last_sequence - 1 = (
        select count(distinct tick.sequence)
        from symbols
        join bars.ticks as tick using (symbol_id)
        where symbols.market = %(market)s and (gap.symbol is null or symbols.ticker = gap.symbol)
            and tick.source = gap.source and tick.tick_time between gap.start_time and gap.end_time
            and tick.sequence > gap.last_sequence and tick.sequence < gap.first_sequence
    )
    and gap.first_sequence > gap.last_sequence + 1
returning gap.gap_id
