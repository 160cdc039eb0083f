-- purpose: a SQLite table as it is, the newest row first
-- parameters: table
select * from {table} order by rowid desc
