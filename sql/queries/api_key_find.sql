-- purpose: the key of a public part, revoked or not
-- parameters: key_id
select key_id, digest, name, role, created_at, expires_at, revoked_at from hypertape.api_key_of(%s)
