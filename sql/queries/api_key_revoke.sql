-- purpose: revoke keys by their public part or their name; says which were open
-- parameters: revoked_at, key_id or name
update api_key set revoked_at = %(now)s
where (key_id = %(which)s or name = %(which)s) and revoked_at is null
returning key_id, digest, name, role, created_at, expires_at, revoked_at
