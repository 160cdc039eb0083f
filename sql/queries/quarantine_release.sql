-- purpose: release refused rows, unless somebody did meanwhile
-- parameters: ids, outcome, run_id, now
update quarantine set released_at = %(now)s, released_run = %(run_id)s, outcome = %(outcome)s
where quarantine_id = any(%(ids)s::bigint[]) and released_at is null
