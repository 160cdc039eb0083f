-- purpose: let readers of what is published see some series as they were known at an instant, and nothing later
-- parameters: market, interval, tickers, run_id, instant
update published
set
    known_at = greatest(known_at, %(instant)s),
    load_id = coalesce(
        (
            select max(load.load_id) from load
            where load.market = published.market and load.interval = published.interval and load.ticker = published.ticker
                and load.load_id > published.load_id and load.loaded_at <= %(instant)s
        ),
        load_id
    ),
    changed_from = (
        select min(least(load.first_changed, load.finalised)) from load
        where load.market = published.market and load.interval = published.interval and load.ticker = published.ticker
            and load.load_id > published.load_id and load.loaded_at > greatest(%(instant)s, published.known_at)
            and (load.first_changed is not null or load.finalised is not null)
    ),
    until = (
        select series.watermark from series
        where series.market = published.market and series.interval = published.interval and series.ticker = published.ticker
    ),
    run_id = %(run_id)s, published_at = clock_timestamp(), held_at = null, held_run = null, held_by = null
where market = %(market)s and interval = %(interval)s and ticker = any(%(tickers)s)
