-- purpose: open findings that nobody has acknowledged, counted by place, kind and severity
-- parameters: now
select coalesce(market, '') as market, coalesce(interval, '') as interval, kind, severity, count(*) as findings
from finding
where closed_at is null
    and not coalesce(acknowledged_fingerprint = fingerprint and coalesce(acknowledged_until > %(now)s, true), false)
group by 1, 2, kind, severity
order by 1, 2, kind, severity
