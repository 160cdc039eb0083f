-- purpose: the rollups of these notes are refreshed
-- parameters: note ids
delete from tick_pending where note_id = any(%s::bigint[])
