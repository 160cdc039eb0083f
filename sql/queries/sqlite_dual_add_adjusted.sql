-- purpose: give a dual-write table room for adjusted closes, which its document does not know
-- parameters: table
alter table {table} add column adjusted_close real
