-- purpose: take a unit for the length of this transaction; false while another worker has it
-- parameters: the lock's name
select pg_try_advisory_xact_lock(hashtextextended(%s, 0))
