-- purpose: whole rows of a SQLite table as they are stored
-- parameters: table; a JSON list of row ids
select rowid, * from {table} where rowid in (select value from json_each(?))
