-- purpose: keep a new key
-- parameters: key_id, digest, name, role, created_at, expires_at
insert into api_key (key_id, digest, name, role, created_at, expires_at) values (%s, %s, %s, %s, %s, %s)
