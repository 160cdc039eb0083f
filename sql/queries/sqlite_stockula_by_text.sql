-- purpose: the order of price_history where dates sort as text
-- parameters: none
date, rowid
