-- purpose: the order of price_history where dates are spelled in several ways
-- parameters: none
julianday(date), rowid
