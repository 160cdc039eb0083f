-- purpose: close the gap that a feed says it filled
-- parameters: by, source, symbol, reason, start, last sequence
update feed_gap set closed_at = clock_timestamp(), closed_by = %s
where source = %s and symbol is not distinct from %s::text and reason = %s and start_time = %s
    and last_sequence is not distinct from %s::bigint and closed_at is null
