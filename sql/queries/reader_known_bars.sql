-- purpose: the bars of one series between two instants as they were known at another, as arrays
-- parameters: arrays (aggregates of columns, each after a comma); market, interval, instant, ticker, start, before
select array_agg(bar.time){arrays}
from bars_as_of(%(market)s, %(interval)s, %(instant)s, array[%(ticker)s], %(start)s, %(before)s) as bar
