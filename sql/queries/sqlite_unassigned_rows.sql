-- purpose: the rows of a SQLite table of bars that belong to no series
-- parameters: table, ticker column, further conditions; theirs
select * from {table} where typeof({ticker}) <> 'text' {conditions} order by rowid
