-- purpose: take away the flags of bars that are about to be written
-- parameters: market, interval; tickers, times (arrays)
delete from bar_flag
using unnest(%(tickers)s::text[], %(times)s::timestamptz[]) as written (ticker, time)
where bar_flag.market = %(market)s and bar_flag.interval = %(interval)s
    and bar_flag.ticker = written.ticker and bar_flag.time = written.time
