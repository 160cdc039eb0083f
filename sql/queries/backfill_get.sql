-- purpose: the backfill of a run
-- parameters: run_id
select * from backfill where run_id = %(run_id)s
