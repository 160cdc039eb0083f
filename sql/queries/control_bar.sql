-- purpose: the newest bar that one of some sources is known to have given: what to ask a source that has nothing for anybody.
--   Of another ticker than those it had nothing for, where there is one: a vendor drops all it had of a delisted ticker
-- parameters: market, interval, sources, silent (tickers)
with given as not materialized (
    select load_id, ticker, last_changed
    from load
    where market = %(market)s and interval = %(interval)s and source = any(%(sources)s) and status = 'loaded'
        and last_changed is not null and last_changed < coalesce(provisional_from, 'infinity')
        and reason is distinct from 'replay'
)

select ticker, last_changed
from (
    (select ticker, last_changed, 1 as choice from given where ticker <> all(%(silent)s) order by load_id desc limit 1)
    union all
    (select ticker, last_changed, 2 from given where ticker = any(%(silent)s) order by load_id desc limit 1)
) as found
order by choice
limit 1
