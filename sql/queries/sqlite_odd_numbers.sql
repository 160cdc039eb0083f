-- purpose: rows with a cell that a double may not hold exactly: text, blobs, and numbers beyond 2^53; the plus sign takes a
--   column's affinity away, so that text compares as greater than any number
-- parameters: table, ticker column, value columns, conditions of them
select {ticker}, {values} from {table} where {conditions}
