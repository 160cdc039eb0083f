-- purpose: the backfill a run continues: its own, else the newest unfinished one of the same wishes
-- parameters: run_id, fingerprint, since (older ones are not continued)
select * from backfill
where not dry_run and (run_id = %(run_id)s
    or fingerprint = %(fingerprint)s and state <> 'done' and planned_at >= %(since)s)
order by run_id = %(run_id)s desc, backfill_id desc
limit 1
