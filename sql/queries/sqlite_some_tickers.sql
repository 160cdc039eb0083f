-- purpose: a further condition on a table of bars: or rows of tickers that are none
-- parameters: ticker column; their bytes in hexadecimal as a JSON array
or hex({ticker}) in (select value from json_each(?))
