-- purpose: note that a worker begins with some series, before their vendor is asked; or that it skips them
-- parameters: worker, market, interval, tickers (array), status (running or skipped)
insert into sync_progress (
    worker_id, market, interval, ticker, last_sync_time, last_data_time, status, started_at, completed_at
)
select
    %(worker)s, %(market)s, %(interval)s, given.ticker, clock_timestamp(), series.last_time, %(status)s, clock_timestamp(),
    case %(status)s when 'skipped' then clock_timestamp() end
from unnest(%(tickers)s::text[]) as given (ticker)
    left join series
        on series.market = %(market)s and series.interval = %(interval)s and series.ticker = given.ticker collate "C"
on conflict (worker_id, market, interval, ticker) do update
set
    last_sync_time = excluded.last_sync_time, last_data_time = excluded.last_data_time, status = excluded.status,
    error_message = null, started_at = excluded.started_at, completed_at = excluded.completed_at
