-- purpose: opens every transaction of a suite: it may not write, it relies on nothing that a role or a database may have set
--   otherwise, it is not worth compiling, a rule ends in time, and a statement ends with its client
-- parameters: milliseconds (that a statement may take)
set transaction isolation level read committed, read only;
set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres';
set local extra_float_digits = 1; set local array_nulls = on; set local search_path = public, shim, bars;
set local jit = off; set local statement_timeout = {milliseconds}; set local client_connection_check_interval = '1s'
