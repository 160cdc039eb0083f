-- purpose: mirrors that are behind: failing, or waiting for longer than a run would let them
-- parameters: now, patience
select
    mirror.mirror, mirror.address, mirror.enabled, mirror.failing_since, mirror.last_error, waiting.series, waiting.since
from mirror
cross join lateral (
    select count(*) as series, min(noted_at) as since from mirror_outbox where mirror_outbox.mirror = mirror.mirror
) as waiting
where waiting.series > 0 and (mirror.failing_since is not null or waiting.since < %(now)s - %(patience)s::interval)
order by mirror.mirror
