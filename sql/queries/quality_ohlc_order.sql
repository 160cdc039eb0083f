-- purpose: rows whose low or high does not bound open and close; what is less than arithmetic explains is nothing
-- parameters: arithmetic (relative)
select ticker, time, open, high, low, close from bar
where least(open, close) < low - {arithmetic} * abs(low) or greatest(open, close) > high + {arithmetic} * abs(high)
