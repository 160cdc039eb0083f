-- purpose: open gaps that are worth asking for again, and since when their tickers are due at all; an inferred holiday or
--   halt is asked for once, a known halt never
-- parameters: market, interval, tickers (null for all), reasons, confirmed (reasons asked for once), max_attempts
select ticker, start_time, end_time, sessions, attempts, judged_from
from gap join gap_judged using (market, interval, ticker)
where market = %(market)s and interval = %(interval)s and closed_at is null and reason = any(%(reasons)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s))
    and attempts < case when reason = any(%(confirmed)s) then least(1, %(max_attempts)s) else %(max_attempts)s end
    and not (reason = 'halted' and detail is not null)
order by ticker, start_time
