-- purpose: keep what was learned of what series leave out
-- parameters: market, interval; tickers, ordinary, unusual (arrays; unusual as texts of bigint arrays)
update gap_judged as kept
set ordinary = given.ordinary, unusual = given.unusual::bigint[]
from unnest(%(tickers)s::text[], %(ordinary)s::int[], %(unusual)s::text[]) as given (ticker, ordinary, unusual)
where kept.market = %(market)s and kept.interval = %(interval)s and kept.ticker = given.ticker
    and (kept.ordinary, kept.unusual) is distinct from (given.ordinary, given.unusual::bigint[])
