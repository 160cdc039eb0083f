-- purpose: let the ledger of series begin where the bars do now; a series without any bar is none
-- parameters: bars; market, interval, ticker
with begin as (
    select min(time) as first_time from {bars} where ticker = %(ticker)s
),
gone as (
    delete from series using begin
    where market = %(market)s and interval = %(interval)s and ticker = %(ticker)s and begin.first_time is null
)
update series set first_time = begin.first_time
from begin
where market = %(market)s and interval = %(interval)s and ticker = %(ticker)s and begin.first_time is not null
