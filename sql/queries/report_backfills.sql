-- purpose: the newest backfills and how far each is, unfinished ones first
-- parameters: since, markets (array; null for all), most (rows returned; `total` counts all)
select
    backfill.run_id, market, interval, mode, reason, dry_run, backfill.state, backfill.window_start, backfill.window_end,
    cardinality(backfill.tickers) as tickers, missing, planned_at, finished_at, count(unit) as units,
    count(unit) filter (where unit.state = 'done') as units_done, coalesce(sum(unit.inserted), 0)::bigint as inserted,
    coalesce(sum(unit.updated), 0)::bigint as updated, count(*) over () as total
from public.backfill left join public.backfill_unit as unit using (backfill_id)
where planned_at >= %(since)s and not dry_run and (%(markets)s::text[] is null or market = any(%(markets)s::text[]))
group by backfill.backfill_id
order by backfill.state = 'done', backfill_id desc
limit %(most)s
