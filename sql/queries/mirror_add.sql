-- purpose: register a mirror
-- parameters: mirror, address, markets, intervals
insert into mirror (mirror, address, markets, intervals)
values (%s, %s, %s, %s)
on conflict do nothing
returning mirror_key
