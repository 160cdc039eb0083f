-- purpose: findings that are over, of which a channel knows only that they began
-- parameters: channel
select finding.finding_id, finding.kind, finding.cause, finding.market, finding.severity, finding.title, finding.closed_at
from message
join finding using (finding_id)
where message.channel = %(channel)s and message.event = 'opened' and finding.closed_at is not null
    and not exists (
        select from message as told
        where told.channel = %(channel)s and told.event = 'closed' and told.finding_id = finding.finding_id
    )
order by finding.closed_at, finding.finding_id
