-- purpose: the rows of a load, from the staging table; part of write_bars
staging
