-- purpose: findings, the worst first, of equal ones the oldest; quiet: acknowledged, unchanged since, and not for too long
-- parameters: now; finding (null: all); markets, intervals, kinds, severities (arrays; null: all; a finding of no market or
--   interval is of every one); closed (the closed ones too), quiet (the acknowledged ones too); after (rows passed over), most
select
    finding_id, kind, cause, market, interval, tickers, severity, title, mend, link, evidence, fingerprint, opened_at, opened_by,
    last_seen_at, times, closed_at, closed_by, acknowledged_at, acknowledged_by, acknowledged_until, acknowledged_reason,
    is_quiet as quiet
from finding
cross join lateral (
    select coalesce(
        acknowledged_fingerprint = fingerprint and coalesce(acknowledged_until > %(now)s, true), false
    ) as is_quiet
) as acknowledgement
where (%(finding)s::bigint is null or finding_id = %(finding)s)
    and (%(markets)s::text[] is null or market is null or market = any(%(markets)s))
    and (%(intervals)s::text[] is null or interval is null or interval = any(%(intervals)s))
    and (%(kinds)s::text[] is null or kind = any(%(kinds)s))
    and (%(severities)s::text[] is null or severity = any(%(severities)s))
    and (%(closed)s or closed_at is null)
    and (%(quiet)s or not is_quiet or closed_at is not null)
order by closed_at is not null, array_position(array['critical', 'warning', 'note'], severity), opened_at, finding_id
offset %(after)s::bigint limit %(most)s::bigint
