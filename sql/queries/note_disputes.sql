-- purpose: note that a source served series in another one's place, and how it states the bars that were kept. A series'
--   open dispute goes back to the first bar served so
-- parameters: market, interval, run_id, now, source (the one that was away); arrays tickers, load_ids, stand_ins,
--   compared_froms, bars, firsts, lasts, ratios, directions
insert into restatement as open (
    market, interval, ticker, source, stand_in, state, direction, ratio, bars, first_changed, last_changed, compared_from,
    found_run, found_load, found_at
)
select
    %(market)s, %(interval)s, given.ticker, %(source)s, given.stand_in, 'disputed', given.direction, given.ratio,
    given.bars, given.first_changed, given.last_changed, given.compared_from, %(run_id)s, given.load_id, %(now)s
from unnest(
    %(tickers)s::text[], %(load_ids)s::bigint[], %(stand_ins)s::text[], %(compared_froms)s::timestamptz[],
    %(bars)s::int[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[], %(ratios)s::float8[], %(directions)s::text[]
) as given (ticker, load_id, stand_in, compared_from, bars, first_changed, last_changed, ratio, direction)
on conflict (market, interval, ticker) where state = 'disputed' do update
set
    bars = greatest(open.bars, excluded.bars), ratio = coalesce(excluded.ratio, open.ratio),
    direction = case when excluded.ratio is null then open.direction else excluded.direction end,
    first_changed = least(open.first_changed, excluded.first_changed),
    last_changed = greatest(open.last_changed, excluded.last_changed),
    compared_from = least(open.compared_from, excluded.compared_from)
where
    (excluded.bars, coalesce(excluded.ratio, open.ratio)) is distinct from (open.bars, open.ratio)
    or excluded.first_changed < open.first_changed or excluded.last_changed > open.last_changed
    or excluded.compared_from < open.compared_from
