-- One key by its public part. It runs as its owner: nobody who reads for others sees all keys.
create or replace function hypertape.api_key_of(wanted text) returns setof api_key
language sql stable security definer
set search_path = public, pg_temp
as $$ select * from public.api_key where key_id = wanted $$;
revoke all on function hypertape.api_key_of(text) from public;
