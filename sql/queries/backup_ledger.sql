-- purpose: the backups that were not removed, newest first
select name, place, made_at, seconds, bytes, rows, fresh_for, checked_at, verified_at, verdict, reason
from backup
where removed_at is null
order by made_at desc, name desc
