-- purpose: say, for as long as this session lasts, that a scratch database is in use
select pg_advisory_lock(hashtextextended(%s, 0))
