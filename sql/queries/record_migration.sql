-- purpose: note that a script ran, with the hash of its text
-- parameters: name, market, sha256, version, tier
insert into public.schema_migration (name, market, sha256, version, tier)
values (%s, %s, %s, %s, %s)
on conflict (name, market) do update
set sha256 = excluded.sha256, version = excluded.version, applied_at = now()
