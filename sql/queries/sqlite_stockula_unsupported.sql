-- purpose: a further condition on price_history: or rows of no interval that is stored
-- parameters: the spellings of the stored ones as a JSON array
or typeof(interval) <> 'text' or interval not in (select value from json_each(?))
