-- purpose: the units of a backfill
-- parameters: backfill_id, states (null: all)
select * from backfill_unit
where backfill_id = %(backfill_id)s and (%(states)s::text[] is null or state = any(%(states)s::text[]))
order by unit
