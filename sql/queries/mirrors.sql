-- purpose: every mirror with how far it is behind
select
    mirror, address, mirror_key, markets, intervals, enabled, delivered_at, failing_since, last_error,
    waiting.series, waiting.since
from mirror
cross join lateral (
    select count(*) as series, min(noted_at) as since from mirror_outbox where mirror_outbox.mirror = mirror.mirror
) as waiting
order by mirror
