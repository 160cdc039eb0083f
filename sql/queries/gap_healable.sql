-- purpose: open gaps that are worth asking for again, and since when their tickers are due at all; a known halt never is
-- parameters: market, interval, tickers (null for all), reasons, once (reasons that rest after one more answer), most (answers)
select ticker, start_time, end_time, sessions, attempts, judged_from
from gap join gap_judged using (market, interval, ticker)
where market = %(market)s and interval = %(interval)s and closed_at is null and reason = any(%(reasons)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s))
    and not hypertape.gap_rests(gap, %(once)s::text[], %(most)s::int)
    and not (reason = 'halted' and detail is not null)
order by ticker, start_time
