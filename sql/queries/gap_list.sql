-- purpose: entries of the gap ledger, newest gap last; rests: healing asks for it no more
-- parameters: markets, intervals, tickers, reasons (arrays; null for all); start, end (null for no bound); closed (true: the
--   closed ones too); most; once (reasons that rest after one more answer), attempts_limit (answers after which others do)
select
    gap_id, market, interval, ticker, start_time, end_time, bars, sessions, reason, detail, former_reason, changed_at, attempts,
    last_checked_at, healed_run, found_run, found_at, closed_at, closed_run, closed_reason, refused,
    closed_at is null and hypertape.gap_rests(gap, %(once)s::text[], %(attempts_limit)s::int) as rests
from gap
where (%(markets)s::text[] is null or market = any(%(markets)s))
    and (%(intervals)s::text[] is null or interval = any(%(intervals)s))
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s))
    and (%(reasons)s::text[] is null or reason = any(%(reasons)s))
    and (%(start)s::timestamptz is null or end_time > %(start)s)
    and (%(end)s::timestamptz is null or start_time < %(end)s)
    and (%(closed)s or closed_at is null)
order by market, interval, ticker, start_time, gap_id
limit %(most)s
