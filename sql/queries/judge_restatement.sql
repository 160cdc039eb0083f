-- purpose: keep what the comparison with the vendor's older bars said
-- parameters: id, state, checked, differing, run_id, now
update restatement
set
    state = %(state)s, checked = %(checked)s, differing = %(differing)s, checked_run = %(run_id)s,
    checked_at = %(now)s, tries = 0, tried_at = null, error = null
where restatement_id = %(id)s and state = 'suspected'
