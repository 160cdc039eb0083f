-- purpose: the flagged bars that a run wrote
-- parameters: run_id, most (rows returned; `total` counts all)
select flag.market, flag.interval, flag.ticker, flag.time, flag.rule, flag.value, load.source, count(*) over () as total
from public.bar_flag as flag join public.load using (load_id)
where load.run_id = %(run_id)s
order by flag.rule, flag.market, flag.interval, flag.ticker, flag.time
limit %(most)s
