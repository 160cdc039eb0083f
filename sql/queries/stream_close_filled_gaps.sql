-- purpose: close the gaps in symbols' sequences whose every number is stored
-- parameters: by, market
update feed_gap as gap
set closed_at = clock_timestamp(), closed_by = %(by)s
from symbols
where gap.closed_at is null and symbols.market = %(market)s and symbols.ticker = gap.symbol
    and gap.end_time is not null and gap.last_sequence is not null and gap.first_sequence > gap.last_sequence
    and gap.first_sequence - gap.last_sequence - 1 = (
        select count(distinct tick.sequence) from bars.ticks as tick
        where tick.symbol_id = symbols.symbol_id and tick.source = gap.source
            and tick.tick_time between gap.start_time and gap.end_time
            and tick.sequence > gap.last_sequence and tick.sequence < gap.first_sequence
    )
returning gap.gap_id
