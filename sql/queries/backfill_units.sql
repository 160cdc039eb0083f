-- purpose: the units of a backfill
-- parameters: backfill_id
select * from backfill_unit where backfill_id = %(backfill_id)s order by unit
