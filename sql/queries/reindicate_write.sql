-- purpose: give some bars of a series other indicators (NaN stands for null)
-- parameters: bars relation; ticker, times, first, last, and the indicator columns (arrays)
update {bars} as bar
set
    ma10 = nullif(given.ma10, 'NaN'), ma20 = nullif(given.ma20, 'NaN'), ma50 = nullif(given.ma50, 'NaN'),
    ma100 = nullif(given.ma100, 'NaN'), ma200 = nullif(given.ma200, 'NaN'),
    previous_close = nullif(given.previous_close, 'NaN'), previous_volume = nullif(given.previous_volume, 'NaN')
from unnest(
    %(times)s::timestamptz[], %(ma10)s::float8[], %(ma20)s::float8[], %(ma50)s::float8[], %(ma100)s::float8[],
    %(ma200)s::float8[], %(previous_close)s::float8[], %(previous_volume)s::float8[]
) as given (time, ma10, ma20, ma50, ma100, ma200, previous_close, previous_volume)
where bar.ticker = %(ticker)s and bar.time = given.time and bar.time >= %(first)s and bar.time <= %(last)s
