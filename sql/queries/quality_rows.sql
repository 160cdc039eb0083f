-- purpose: the rows a suite looks at: every physical column of one relation inside the window
-- parameters: relation, start, end, tickers
select * from {relation}
where time >= {start} and time < {end} and ({tickers} is null or ticker = any({tickers}))
