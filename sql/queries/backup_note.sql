-- purpose: keep a backup that was made
insert into backup (name, place, made_at, seconds, bytes, rows, sha256, run_id, fresh_for)
values (
    %(name)s, %(place)s, %(made_at)s, %(seconds)s, %(bytes)s, %(rows)s, %(sha256)s, %(run_id)s, %(fresh_for)s
)
on conflict (name) do nothing
