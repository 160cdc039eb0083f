-- purpose: let symbols say from when to when each ticker has bars
-- parameters: market, interval
update symbols
set first_seen = least(symbols.first_seen, series.first_time), last_seen = greatest(symbols.last_seen, series.last_time)
from series
where series.market = %s and series.interval = %s and symbols.market = series.market and symbols.ticker = series.ticker
    and (symbols.first_seen is null or symbols.first_seen > series.first_time or symbols.last_seen < series.last_time)
