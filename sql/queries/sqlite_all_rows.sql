-- purpose: a SQLite table as it is
-- parameters: table
select * from {table}
