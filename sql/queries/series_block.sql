-- purpose: the next bars of one series as arrays
-- parameters: bars relation, names columns, arrays aggregates of them; ticker, after, rows
select array_agg(time), {arrays}
from (
    select time, {names}
    from {bars}
    where ticker = %s and time > %s
    order by time
    limit %s
) as block
