-- purpose: findings that a channel is to be told of and was not
-- parameters: now, channel, severities, markets (null: all)
select finding_id, kind, cause, market, severity, title, mend
from finding
where closed_at is null and severity = any(%(severities)s)
    and (%(markets)s::text[] is null or market is null or market = any(%(markets)s))
    and not coalesce(acknowledged_fingerprint = fingerprint and coalesce(acknowledged_until > %(now)s, true), false)
    and not exists (
        select from message
        where message.channel = %(channel)s and message.event = 'opened' and message.finding_id = finding.finding_id
    )
order by opened_at, finding_id
