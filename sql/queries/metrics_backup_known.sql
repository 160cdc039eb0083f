-- purpose: whether the warehouse's schema has backups
-- parameters: none
select to_regclass('backup') is not null
