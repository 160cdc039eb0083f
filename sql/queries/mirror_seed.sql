-- purpose: note every stored series whole for a mirror, because without an initial copy it would serve truncated history
-- parameters: mirror
insert into mirror_outbox as waiting (mirror, market, interval, ticker, first_changed, last_changed)
select mirror, market, interval, ticker, first_time, last_time
from series
join mirror on
    (mirror.markets = '{}' or series.market = any(mirror.markets))
    and (mirror.intervals = '{}' or series.interval = any(mirror.intervals))
where mirror.mirror = %s
on conflict (mirror, market, interval, ticker) do update
set
    note_id = excluded.note_id, first_changed = least(waiting.first_changed, excluded.first_changed),
    last_changed = greatest(waiting.last_changed, excluded.last_changed)
