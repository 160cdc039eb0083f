-- purpose: remove the notes whose ranges were refreshed
-- parameters: load_ids
delete from rollup_pending where load_id = any(%s)
