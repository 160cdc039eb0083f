-- purpose: a staging table with the stored columns, gone with the transaction
-- parameters: bars relation
create temp table staging on commit drop as select * from {bars} with no data
