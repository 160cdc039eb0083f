-- purpose: rows whose low or high does not bound open and close
select ticker, time, open, high, low, close from bar
where not (low <= least(open, close) and greatest(open, close) <= high)
