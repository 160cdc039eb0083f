-- purpose: the disputes of some series that wait for their first source
-- parameters: market, interval, tickers
select restatement_id, ticker, source, compared_from
from restatement
where market = %s and interval = %s and state = 'disputed' and ticker = any(%s::text[])
