-- purpose: which of some symbols a SQLite table has
-- parameters: table; symbols as a JSON array
select distinct symbol from {table} where symbol in (select value from json_each(?))
