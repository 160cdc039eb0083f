-- purpose: keep a pin, unless there is one of its name
-- parameters: name, market, intervals, known_at, code_version
insert into pin (name, market, intervals, known_at, code_version)
values (%(name)s, %(market)s, %(intervals)s, %(known_at)s, %(code_version)s)
on conflict do nothing
returning name
