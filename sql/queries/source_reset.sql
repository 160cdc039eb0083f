-- purpose: close the circuit of some sources and free their turns
-- parameters: sources
update source_state
set state = 'closed', failures = 0, opened_at = null, probed_at = null, next_turn = '-infinity', held_until = '-infinity'
where source = any(%s)
returning source
