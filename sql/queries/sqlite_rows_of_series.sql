-- purpose: how many rows a series of a SQLite table has, counted apart from reading them
-- parameters: table, condition; its own
select count(*) from {table} where {condition}
