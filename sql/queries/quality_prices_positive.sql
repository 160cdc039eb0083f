-- purpose: rows with a price that is not above zero
select ticker, time, open, high, low, close from bar where least(open, high, low, close) <= 0
