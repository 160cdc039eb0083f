-- purpose: how many ranges wait for a rollup refresh, since when, and how long that is
select count(*), min(load.loaded_at), clock_timestamp() - min(load.loaded_at)
from rollup_pending
left join load on load.load_id = rollup_pending.load_id
