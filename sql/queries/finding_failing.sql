-- purpose: every series whose newest load failed, with when it last succeeded; series are found by jumps through the index
-- parameters: market, interval (null: all)
with recursive known as (
    (select market, interval, ticker from load order by market, interval, ticker limit 1)
    union all
    select following.market, following.interval, following.ticker
    from known
    cross join lateral (
        select market, interval, ticker from load
        where (load.market, load.interval, load.ticker) > (known.market, known.interval, known.ticker)
        order by market, interval, ticker
        limit 1
    ) as following
)
select
    known.market, known.interval, known.ticker, newest.source, newest.error_kind, newest.error, newest.loaded_at, newest.run_id,
    (
        select loaded_at from load
        where load.market = known.market and load.interval = known.interval and load.ticker = known.ticker
            and load.status = 'loaded'
        order by load_id desc
        limit 1
    ) as answered_at
from known
cross join lateral (
    select * from load
    where load.market = known.market and load.interval = known.interval and load.ticker = known.ticker
        and load.status <> 'skipped'
    order by load_id desc
    limit 1
) as newest
where newest.status = 'failed'
    and (%(market)s::text is null or known.market = %(market)s)
    and (%(interval)s::text is null or known.interval = %(interval)s)
order by known.market, known.interval, known.ticker
