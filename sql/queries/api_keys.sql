-- purpose: every key, the newest first
select key_id, digest, name, role, created_at, expires_at, revoked_at from api_key order by created_at desc, key_id
