-- purpose: the tickers of a table of bars as text and as the bytes they are
-- parameters: table, ticker column
select {ticker}, hex({ticker}) from {table} where typeof({ticker}) = 'text' group by {ticker}
