-- purpose: the bars of one series of a pin as arrays, oldest first
-- parameters: name, interval, ticker, start
select
    array_agg(time), array_agg(open), array_agg(high), array_agg(low), array_agg(close), array_agg(volume),
    array_agg(coalesce(adjusted_close, 'NaN'))
from (
    select * from bars_pinned(%(name)s, %(interval)s, array[%(ticker)s], %(start)s) order by time
) as bar
