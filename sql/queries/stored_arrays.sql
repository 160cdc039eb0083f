-- purpose: the bars of a window as one row of arrays per ticker; the caller sorts (cheaper than sorting here)
-- parameters: bars relation; tickers, start, end
select
    ticker, array_agg(time), array_agg(open), array_agg(high), array_agg(low), array_agg(close), array_agg(volume),
    array_agg(coalesce(adjusted_close, 'NaN'))
from {bars}
where ticker = any(%s) and time >= %s and time < %s
group by ticker
