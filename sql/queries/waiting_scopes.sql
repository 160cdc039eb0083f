-- purpose: of which markets and intervals ranges wait for a rollup refresh that a run should have made long ago
-- parameters: age
select distinct rollup_pending.market, rollup_pending.interval
from rollup_pending
left join load on load.load_id = rollup_pending.load_id
where load.loaded_at is null or load.loaded_at < clock_timestamp() - %(age)s::interval
order by 1, 2
