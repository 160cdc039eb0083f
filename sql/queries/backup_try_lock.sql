-- purpose: whether nobody uses a scratch database any more; true takes its lock
select pg_try_advisory_lock(hashtextextended(%s, 0))
