-- name: volume_spike
-- severity: warning
-- intervals: 1d
-- markets: vn
-- description: No day trades more than a hundred times the ticker's average day
-- A rule selects what offends it: ticker, time, and the values that explain it. {bars} are the bars that a run is about.
select ticker, time, volume
from (select ticker, time, volume, avg(volume) over (partition by ticker) as usual from {bars}) as judged
where volume > 100 * usual
