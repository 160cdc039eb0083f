-- purpose: the bars nearest before an instant of each of several tickers, as one row of arrays per ticker
-- parameters: bars relation; arrays tickers, lows, highs (a ticker's bars lie in [low, high)); low and high bound
--   them all, so that chunks outside are never opened; bars (how many)
select
    ticker, array_agg(time), array_agg(open), array_agg(high), array_agg(low), array_agg(close), array_agg(volume),
    array_agg(coalesce(adjusted_close, 'NaN'))
from unnest(%(tickers)s::text[], %(lows)s::timestamptz[], %(highs)s::timestamptz[]) as wanted (name, low_time, high_time)
cross join lateral (
    select ticker, time, open, high, low, close, volume, adjusted_close
    from {bars} as bar
    where bar.ticker = wanted.name and bar.time >= wanted.low_time and bar.time < wanted.high_time
        and bar.time >= %(low)s and bar.time <= %(high)s
    order by bar.time desc
    limit %(bars)s
) as nearest
group by ticker
