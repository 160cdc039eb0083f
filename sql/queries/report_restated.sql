-- purpose: how many bars of each ticker a run restated, and their span
-- parameters: run_id
select
    former.market, former.interval, former.ticker, count(*) as bars, min(former.time) as first_bar,
    max(former.time) as last_bar
from public.bar_revision as former join public.load on load.load_id = former.replaced_by
where load.run_id = %(run_id)s
group by former.market, former.interval, former.ticker
order by count(*) desc, former.ticker
