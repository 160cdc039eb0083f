-- purpose: whether the server still reads its log
select pg_is_in_recovery()
