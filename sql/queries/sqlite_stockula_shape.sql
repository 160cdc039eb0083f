-- purpose: whether the dates of a series are spelled alike, so that their text sorts as their time does
-- parameters: condition; its own
select min(length(date)), max(length(date)), min(substr(date, 11, 1)), max(substr(date, 11, 1))
from price_history
where {condition}
