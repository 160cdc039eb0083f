-- purpose: the ranges that wait for a rollup refresh for longer than a run would let them
-- parameters: age; market, interval (null: all)
select
    rollup_pending.market, rollup_pending.interval, count(*) as ranges, min(load.loaded_at) as since,
    min(rollup_pending.first_changed) as first_changed, max(rollup_pending.last_changed) as last_changed
from rollup_pending
left join load on load.load_id = rollup_pending.load_id
where (load.loaded_at is null or load.loaded_at < clock_timestamp() - %(age)s::interval)
    and (%(market)s::text is null or rollup_pending.market = %(market)s)
    and (%(interval)s::text is null or rollup_pending.interval = %(interval)s)
group by rollup_pending.market, rollup_pending.interval
order by 1, 2
