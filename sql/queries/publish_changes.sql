-- purpose: what is stored of some series and not published: from the first to the last bar that loads known by an instant
--   changed, and the run in the way, if any: one that loaded and has not ended (it has not checked its loads, and has loaded
--   within `patience`). Who said that it would check nothing is in nobody's way: who comes next checks it
-- parameters: market, interval, tickers (null: all), run_id, instant, patience
select
    published.ticker,
    min(least(load.first_changed, load.finalised)), max(greatest(load.last_changed, load.finalised)),
    min(load.run_id) filter (
        where load.run_id <> %(run_id)s and not starts_with(load.run_id, 'unchecked_')
            and not exists (
                select from quality_result as result
                where result.run_id = load.run_id and result.market = load.market and result.interval = load.interval
                    and result.known_at >= load.loaded_at
            )
            and (select max(loaded_at) from load as other where other.run_id = load.run_id)
                > clock_timestamp() - %(patience)s::interval
    )
from published
join load using (market, interval, ticker)
where published.market = %(market)s and published.interval = %(interval)s
    and (%(tickers)s::text[] is null or published.ticker = any(%(tickers)s::text[]))
    and load.load_id > published.load_id and load.loaded_at <= %(instant)s and load.loaded_at > published.known_at
    and (load.first_changed is not null or load.finalised is not null)
group by published.ticker
order by published.ticker
