-- purpose: tickers that are not in capitals, with their rows
-- parameters: table, ticker column
select {ticker}, count(*) from {table} where typeof({ticker}) = 'text' and {ticker} <> upper({ticker}) group by {ticker}
