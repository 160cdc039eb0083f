-- purpose: take the transaction's advisory lock of a name unless somebody holds it
-- parameters: name
select pg_try_advisory_xact_lock(hashtextextended(%s, 0))
