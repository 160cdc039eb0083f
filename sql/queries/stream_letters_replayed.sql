-- purpose: note that dead letters were stored after all
-- parameters: letter ids
update dead_letter set replayed_at = clock_timestamp() where letter_id = any(%s::bigint[])
