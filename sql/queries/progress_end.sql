-- purpose: note how a worker ended some series: completed, or failed where there is an error
-- parameters: worker, market, interval, tickers and errors (arrays of one length; null: no error)
update sync_progress as progress
set
    status = case when mine.error is null then 'completed' else 'failed' end, error_message = mine.error,
    last_sync_time = clock_timestamp(), completed_at = clock_timestamp(),
    last_data_time = coalesce(series.last_time, progress.last_data_time)
from unnest(%(tickers)s::text[], %(errors)s::text[]) as mine (ticker, error)
    left join series
        on series.market = %(market)s and series.interval = %(interval)s and series.ticker = mine.ticker collate "C"
where progress.worker_id = %(worker)s and progress.market = %(market)s and progress.interval = %(interval)s
    and progress.ticker = mine.ticker collate "C"
