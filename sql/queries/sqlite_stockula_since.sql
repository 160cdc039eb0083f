-- purpose: a further condition on price_history: rows from a date on
-- parameters: date as text
and date >= ?
