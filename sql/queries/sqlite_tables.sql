-- purpose: the tables of a SQLite file, its own bookkeeping left out
-- parameters: none
select name from sqlite_master where type = 'table' and name not like 'sqlite\_%' escape '\' order by name
