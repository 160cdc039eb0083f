-- purpose: who changed which final bar in which run: former values, and what replaced them (the next revision of that
--   bar, else the stored bar), the oldest change first
-- parameters: bars relation; market, interval, tickers, since, run_id (the last three null: all), limit (null: all)
with chosen as (
    select revision.*, load.run_id, load.source, load.reason, load.window_start, load.window_end
    from bar_revision as revision join load on load.load_id = revision.replaced_by
    where revision.market = %(market)s and revision.interval = %(interval)s
        and (%(tickers)s::text[] is null or revision.ticker = any(%(tickers)s::text[]))
        and (%(since)s::timestamptz is null or revision.valid_to >= %(since)s)
        and (%(run_id)s::text is null or revision.replaced_by in (select load_id from load where run_id = %(run_id)s))
    order by revision.valid_to desc, revision.ticker, revision.time
    limit %(limit)s
)
select
    chosen.ticker, chosen.time, nullif(chosen.valid_from, '-infinity') as valid_from, chosen.valid_to, chosen.run_id, chosen.source, chosen.reason,
    chosen.load_id as former_load, chosen.replaced_by as new_load,
    chosen.open as former_open, chosen.high as former_high, chosen.low as former_low, chosen.close as former_close,
    chosen.volume as former_volume, chosen.adjusted_close as former_adjusted_close,
    replacing.open as new_open, replacing.high as new_high, replacing.low as new_low, replacing.close as new_close,
    replacing.volume as new_volume, replacing.adjusted_close as new_adjusted_close
from chosen
cross join lateral (
    select open, high, low, close, volume, adjusted_close
    from (
        select open, high, low, close, volume, adjusted_close, replaced_by
        from bar_revision as later
        where later.market = chosen.market and later.interval = chosen.interval and later.ticker = chosen.ticker
            and later.time = chosen.time and later.load_id = chosen.replaced_by
        union all
        select open, high, low, close, volume, adjusted_close, null
        from {bars} as bar
        where bar.ticker = chosen.ticker and bar.time = chosen.time and bar.load_id = chosen.replaced_by
    ) as candidates
    order by replaced_by nulls last
    limit 1
) as replacing
order by chosen.valid_to, chosen.ticker, chosen.time
