-- purpose: the newest backfills and how far each is
-- parameters: most
select
    backfill.*, count(unit) as units, count(unit) filter (where unit.state = 'done') as units_done,
    coalesce(sum(cardinality(open_tickers)) filter (where unit.state = 'failed'), 0)::bigint as open_tickers,
    coalesce(sum(unit.inserted), 0)::bigint as inserted, coalesce(sum(unit.updated), 0)::bigint as updated
from backfill left join backfill_unit as unit using (backfill_id)
group by backfill.backfill_id
order by backfill_id desc
limit %(most)s
