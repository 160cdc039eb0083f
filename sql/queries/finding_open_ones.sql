-- purpose: the open findings of some kinds, locked; with them what is kept
-- parameters: kinds; market, interval (null: all)
select finding_id, cause
from finding
where closed_at is null and kind = any(%(kinds)s)
    and (%(market)s::text is null or market is null or market = %(market)s)
    and (%(interval)s::text is null or interval is null or interval = %(interval)s)
order by finding_id
for update
