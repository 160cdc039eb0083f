-- purpose: how many rows a SQLite table has
-- parameters: table
select count(*) from {table}
