-- purpose: cells that a double may not hold exactly: text, and integers beyond 2^53
-- parameters: table, ticker column, value column
select {ticker}, {value} from {table}
where typeof({value}) = 'text'
    or (typeof({value}) = 'integer' and {value} not between -9007199254740992 and 9007199254740992)
