-- purpose: close gaps that a replay covers
-- parameters: by, gap ids
update feed_gap set closed_at = clock_timestamp(), closed_by = %s where gap_id = any(%s::bigint[]) and closed_at is null
