-- purpose: whether a segment, or a later one of its timeline, is archived
-- parameters: segment
select coalesce(left(last_archived_wal, 24) >= %s, false) from pg_stat_archiver
