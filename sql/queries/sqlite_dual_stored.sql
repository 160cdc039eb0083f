-- purpose: stored bars of a ticker
-- parameters: table, its value columns as expressions, condition, direction; ticker, positional ones, most rows
select time, {values} from {table} where ticker = ? and typeof(time) = 'integer' and {condition} order by time {direction} limit ?
