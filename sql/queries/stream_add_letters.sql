-- purpose: keep records that nobody could store, the same one once
-- parameters: digests, kinds, sources, records, errors
insert into dead_letter as kept (digest, kind, source, record, error)
select * from unnest(%s::bytea[], %s::text[], %s::text[], %s::bytea[], %s::text[]) as letter (digest, kind, source, record, error)
order by digest
on conflict (digest) do update
set times = kept.times + 1, last_at = now(), error = excluded.error, replayed_at = null
