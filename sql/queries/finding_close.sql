-- purpose: close findings that are over
-- parameters: findings (ids), now, run_id
update finding
set closed_at = greatest(%(now)s, opened_at), closed_by = %(run_id)s
where finding_id = any(%(findings)s) and closed_at is null
returning finding_id
