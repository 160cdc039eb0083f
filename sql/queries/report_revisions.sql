-- purpose: former values of the bars that a run restated, newest bars first
-- parameters: run_id, most (rows returned; `total` counts all)
select
    former.market, former.interval, former.ticker, former.time, former.open, former.high, former.low, former.close,
    former.volume, former.adjusted_close, former.valid_from, former.valid_to, count(*) over () as total
from public.bar_revision as former join public.load on load.load_id = former.replaced_by
where load.run_id = %(run_id)s
order by former.time desc, former.ticker
limit %(most)s
