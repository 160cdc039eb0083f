-- purpose: the declared splits of a ticker after an instant
-- parameters: market, ticker, after, until
select time, ratio from splits
where market = %s and ticker = %s and time > %s and time <= %s and withdrawn_at is null
order by time
