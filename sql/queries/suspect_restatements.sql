-- purpose: note that loads changed final bars which the same source had given: a restatement, or only a correction. A
--   series' open entry grows; another source's opinion is no restatement
-- parameters: market, interval, run_id, now; arrays tickers, load_ids, compared_froms, bars, firsts, lasts, ratios,
--   directions
insert into restatement as open (
    market, interval, ticker, source, direction, ratio, bars, first_changed, last_changed, compared_from, found_run,
    found_load, found_at
)
select
    %(market)s, %(interval)s, given.ticker, load.source, given.direction, given.ratio, given.bars, given.first_changed,
    given.last_changed, given.compared_from, %(run_id)s, given.load_id, %(now)s
from unnest(
    %(tickers)s::text[], %(load_ids)s::bigint[], %(compared_froms)s::timestamptz[], %(bars)s::int[],
    %(firsts)s::timestamptz[], %(lasts)s::timestamptz[], %(ratios)s::float8[], %(directions)s::text[]
) as given (ticker, load_id, compared_from, bars, first_changed, last_changed, ratio, direction)
join load on load.load_id = given.load_id
where exists (
    select from bar_revision as revision join load as former on former.load_id = revision.load_id
    where revision.replaced_by = given.load_id and former.source = load.source
)
on conflict (market, interval, ticker) where state in ('suspected', 'confirmed') do update
set
    bars = open.bars + excluded.bars, first_changed = least(open.first_changed, excluded.first_changed),
    last_changed = greatest(open.last_changed, excluded.last_changed),
    compared_from = least(open.compared_from, excluded.compared_from),
    ratio = excluded.ratio,
    direction = case when open.direction = excluded.direction then open.direction else 'mixed' end,
    source = excluded.source, found_load = excluded.found_load, found_run = excluded.found_run
