-- purpose: note the actions that were not kept, each once however often its source repeats it; a row for each new one
-- parameters: market, run_id, now, source, arrays tickers, times (null: no date), kinds, values (NaN: no number), reasons
insert into action_change (kind, market, ticker, time, change, value, source, run_id, changed_at, reason)
select
    kind, %(market)s, ticker, coalesce(time, %(now)s), 'refused', value, %(source)s::text, %(run_id)s::text, %(now)s,
    reason
from (
    select distinct *
    from unnest(
        %(tickers)s::text[], %(times)s::timestamptz[], %(kinds)s::text[], %(values)s::float8[], %(reasons)s::text[]
    ) as given (ticker, time, kind, value, reason)
) as given
where not exists (
    select from action_change as known
    where known.market = %(market)s and known.ticker = given.ticker and known.change = 'refused'
        and known.kind = given.kind and known.value = given.value and known.reason = given.reason
        and (given.time is null or known.time = given.time)
)
returning ticker
