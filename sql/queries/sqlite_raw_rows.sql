-- purpose: whole rows of a SQLite table as they are stored, every cell as a SQL literal, which says its type too
-- parameters: table, its quoted columns; a JSON list of row ids
select rowid, {cells} from {table} where rowid in (select value from json_each(?))
