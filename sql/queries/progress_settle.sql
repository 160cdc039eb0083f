-- purpose: keep what a worker that leaves no trace did to its series, under a name that many of its kind share
-- parameters: worker, name
with mine as (
    delete from sync_progress where worker_id = %(worker)s returning *
)
insert into sync_progress (
    worker_id, market, interval, ticker, last_sync_time, last_data_time, status, error_message, started_at, completed_at
)
select %(name)s, market, interval, ticker, last_sync_time, last_data_time, status, error_message, started_at, completed_at
from mine
order by ticker -- two that settle under one name wait for each other in one order
on conflict (worker_id, market, interval, ticker) do update
set
    last_sync_time = excluded.last_sync_time, last_data_time = excluded.last_data_time, status = excluded.status,
    error_message = excluded.error_message, started_at = excluded.started_at, completed_at = excluded.completed_at
