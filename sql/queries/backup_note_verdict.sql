-- purpose: keep what a look at a backup found; a look at its file alone takes no verification back, unless it is broken
update backup
set checked_at = %(checked_at)s, verdict = %(verdict)s, reason = %(reason)s,
    verified_at = coalesce(%(verified_at)s, verified_at)
where name = %(name)s
