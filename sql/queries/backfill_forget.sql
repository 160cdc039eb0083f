-- purpose: forget the rehearsal of a run, so that it can be planned anew
-- parameters: run_id
delete from backfill where run_id = %(run_id)s and dry_run
