-- purpose: move watermarks to the end of what a run loaded: never over a hole, and back only out of the future, for which
--   the database's clock counts. A run's windows count from the watermark on as far as each touches or overlaps what lies
--   before it: a backfill of an island and a heal of scattered months leave the watermark before the hole, so that the
--   next scheduled run still loads what lies there. An answer without a single one of the bars the calendar expects is a
--   hole, too, and one incomplete window holds all. Where a source lags behind, its answer ends before the window does.
--   Of tickers that a critical check holds nothing is proved: theirs stay
-- parameters: run_id, market, interval, history_start, held (tickers)
with last_attempt as (
    select distinct on (ticker, window_start)
        ticker, window_start, least(window_end, answered_until, clock_timestamp()) as window_end,
        status = 'loaded' and (fetched > 0 or coalesce(missing, 0) = 0) as complete
    from load
    where run_id = %(run_id)s and market = %(market)s and interval = %(interval)s
    order by ticker, window_start, load_id desc
),
windows as (
    select
        ticker, window_start, window_end, bool_and(complete) over (partition by ticker) as complete,
        greatest(
            least(coalesce(series.watermark, %(history_start)s), clock_timestamp()),
            max(window_end) over (
                partition by ticker order by window_start rows between unbounded preceding and 1 preceding
            )
        ) as reached_before
    from last_attempt join series using (ticker)
    where series.market = %(market)s and series.interval = %(interval)s
),
chained as (
    select
        ticker, window_end, complete,
        bool_and(window_start <= reached_before) over (partition by ticker order by window_start) as touches
    from windows
),
reached as (
    select ticker, max(window_end) as watermark
    from chained
    where complete and touches
    group by ticker
)
update series
set watermark = reached.watermark
from reached
where series.market = %(market)s and series.interval = %(interval)s and series.ticker = reached.ticker
    and not series.ticker = any(%(held)s::text[])
    and (
        series.watermark is null or series.watermark < reached.watermark or series.watermark > clock_timestamp()
    )
