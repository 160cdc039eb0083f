-- purpose: the loads whose windows touch the missing sessions of some tickers, oldest first; answered: the provider said
--   what it has, be it nothing. A replay of refused rows neither asked nor failed
-- parameters: market, interval; tickers, starts, ends (arrays)
select distinct
    load_id, load.ticker, load.window_start, least(load.window_end, load.provisional_from) as covers_to,
    hypertape.is_answer(load) as answered, left(load.error, 200) as error
from unnest(%(tickers)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) as missing (ticker, start_time, end_time)
join load
    on load.market = %(market)s and load.interval = %(interval)s and load.ticker = missing.ticker
    and load.window_start < missing.end_time and load.window_end > missing.start_time and load.status <> 'skipped'
    and load.reason is distinct from 'replay'
order by load_id
