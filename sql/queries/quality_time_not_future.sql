-- purpose: rows that open after now, in the window or after it
-- parameters: relation, end, now, tickers
select ticker, time from bar where time > {now}
union all
select ticker, time from {relation}
where time >= {end} and time > {now} and ({tickers} is null or ticker = any({tickers}))
