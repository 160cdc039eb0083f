-- purpose: the bars of one series of a SQLite table; every column has one type whatever a cell holds, so that Arrow's
--   types do not depend on the first rows
-- parameters: table, its columns as expressions, condition, order; positional ones of the condition
select rowid, {time}, {open}, {high}, {low}, {close}, {volume}, {adjusted} from {table} where {condition} order by {order}
