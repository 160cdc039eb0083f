-- purpose: the markets and intervals that a run has loaded, each with its last source and the span its loads asked for
-- parameters: run_id
select market, interval, (array_agg(source order by load_id desc))[1], min(window_start), max(window_end)
from load
where run_id = %(run_id)s and status <> 'skipped'
group by market, interval
order by market, interval
