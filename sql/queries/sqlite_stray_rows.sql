-- purpose: the rows of a SQLite table of bars that belong to no series
-- parameters: table, ticker column, a further condition; its own
select * from {table} where typeof({ticker}) <> 'text' {condition} order by rowid
