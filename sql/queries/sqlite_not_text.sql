-- purpose: rows whose ticker is no text, so that they belong to no series
-- parameters: table, ticker column
select {ticker}, count(*) from {table} where typeof({ticker}) <> 'text' group by {ticker}
