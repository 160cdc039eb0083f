-- purpose: the columns of a SQLite table
-- parameters: table name
select name from pragma_table_info(?)
