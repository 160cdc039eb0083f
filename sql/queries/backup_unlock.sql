-- purpose: give the lock of a scratch database back
select pg_advisory_unlock(hashtextextended(%s, 0))
