-- purpose: the order of the daily rows of price_history where dates are spelled in several ways: a midnight of any zone
--   means the date that is written
-- parameters: none
case when substr(date, 12, 5) in ('', '00:00') then julianday(substr(date, 1, 10)) else julianday(date) end, rowid
