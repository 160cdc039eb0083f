-- purpose: keep that backups are gone
update backup set removed_at = %(now)s where name = any(%(names)s) and removed_at is null
