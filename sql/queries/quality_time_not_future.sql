-- purpose: rows that open after now, in the window or after it. What another run has written since this one loaded is that
--   run's to judge: its now is a later one
-- parameters: relation, end, now, tickers, market, interval, run_id
select future.ticker, future.time
from (
    select ticker, time, load_id from bar where time > {now}
    union all
    select ticker, time, load_id from {relation}
    where time >= {end} and time > {now} and ({tickers} is null or ticker = any({tickers}))
) as future
where not exists (
    select from load as later
    where later.load_id = future.load_id and later.run_id <> {run_id}
        and later.load_id > (
            select max(load_id) from load where run_id = {run_id} and market = {market} and interval = {interval}
        )
)
