-- purpose: the order of a dual-write series
-- parameters: none
time, rowid
