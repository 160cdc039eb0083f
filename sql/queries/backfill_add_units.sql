-- purpose: store the units of a backfill: every window of every batch of tickers
-- parameters: backfill_id; units (a JSON array of objects with the table's columns)
insert into backfill_unit (
    backfill_id, unit, window_start, window_end, tickers, expected, present, sessions_missing, sessions_thin, calls,
    open_tickers
)
select
    %(backfill_id)s, unit, window_start, window_end, tickers, expected, present, sessions_missing, sessions_thin, calls,
    tickers
from jsonb_to_recordset(%(units)s) as given (
    unit int, window_start timestamptz, window_end timestamptz, tickers text[], expected bigint, present bigint,
    sessions_missing bigint, sessions_thin bigint, calls bigint
)
