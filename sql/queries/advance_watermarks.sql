-- purpose: move watermarks to the end of what a run loaded: never back, and never over a hole (a backfill of an island
--   leaves the watermark where it is, so that the next scheduled run still loads what lies before it; an answer without
--   a single one of the bars the calendar expects is a hole, too)
-- parameters: run_id, market, interval, history_start
with last_attempt as (
    select distinct on (ticker, window_start)
        ticker, window_start, window_end, status = 'loaded' and (fetched > 0 or coalesce(missing, 0) = 0) as complete
    from load
    where run_id = %(run_id)s and market = %(market)s and interval = %(interval)s
    order by ticker, window_start, load_id desc
),
reached as (
    select ticker, min(window_start) as window_start, max(window_end) as window_end
    from last_attempt
    group by ticker
    having bool_and(complete)
)
update series
set watermark = reached.window_end
from reached
where series.market = %(market)s and series.interval = %(interval)s and series.ticker = reached.ticker
    and reached.window_start <= coalesce(series.watermark, %(history_start)s)
    and (series.watermark is null or series.watermark < reached.window_end)
