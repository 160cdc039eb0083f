-- purpose: remove open entries whose sessions another entry has taken over
-- parameters: gap_ids
delete from gap where gap_id = any(%s)
