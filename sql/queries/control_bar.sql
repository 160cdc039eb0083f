-- purpose: the newest bar that one of some sources is known to have given: what to ask a source that has nothing for anybody
-- parameters: market, interval, sources
select ticker, last_changed
from load
where market = %(market)s and interval = %(interval)s and source = any(%(sources)s) and status = 'loaded'
    and last_changed is not null and last_changed < coalesce(provisional_from, 'infinity') and reason is distinct from 'replay'
order by load_id desc
limit 1
