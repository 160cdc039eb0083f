-- purpose: the server's process of this transaction; a pooler tells its clients another
select pg_backend_pid()
