-- purpose: take away what was noted of a name that never had a bar, so that a series can take it
-- parameters: market, new
with progress as (delete from sync_progress where market = %(market)s and ticker = %(new)s),
judged as (delete from gap_judged where market = %(market)s and ticker = %(new)s)
delete from symbols
where market = %(market)s and ticker = %(new)s
    and not exists (select from bars.ticks where ticks.symbol_id = symbols.symbol_id)
