-- purpose: drop findings that were over long ago
-- parameters: before
delete from finding where closed_at < %(before)s
