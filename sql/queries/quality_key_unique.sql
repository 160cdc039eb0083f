-- purpose: keys that more than one row has
select ticker, time, count(*) as copies from bar group by ticker, time having count(*) > 1
