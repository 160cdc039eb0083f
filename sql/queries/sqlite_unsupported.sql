-- purpose: the spellings of the interval in price_history, with their rows
-- parameters: none
select interval, count(*) from price_history group by interval
