-- purpose: the next rows of one series inside a range, as arrays (the caller sorts)
-- parameters: bars relation, names columns, arrays aggregates of them; ticker, start, last, rows
select array_agg(time), {arrays}
from (
    select time, {names}
    from {bars}
    where ticker = %s and time >= %s and time <= %s
    order by time
    limit %s
) as block
