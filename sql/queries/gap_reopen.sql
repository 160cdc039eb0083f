-- purpose: let healing ask again for gaps whose attempts are used up
-- parameters: markets, intervals, tickers, reasons (arrays; null for all); start, end (null for no bound)
update gap
set attempts = 0
where closed_at is null and attempts > 0
    and (%(markets)s::text[] is null or market = any(%(markets)s))
    and (%(intervals)s::text[] is null or interval = any(%(intervals)s))
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s))
    and (%(reasons)s::text[] is null or reason = any(%(reasons)s))
    and (%(start)s::timestamptz is null or end_time > %(start)s)
    and (%(end)s::timestamptz is null or start_time < %(end)s)
