-- purpose: keep what a list says of tickers: those that are traded are seen now
-- parameters: market, source, now; arrays of ticker, name, kind, exchange, delisted (the vendor says so itself)
insert into listing as kept (market, source, ticker, name, kind, exchange, first_seen, last_seen, delisted_at)
select
    %(market)s, %(source)s, ticker, name, kind, exchange, %(now)s, %(now)s, case when delisted then %(now)s::timestamptz end
from unnest(
    %(tickers)s::text[], %(names)s::text[], %(kinds)s::text[], %(exchanges)s::text[], %(delisted)s::bool[]
) as given (ticker, name, kind, exchange, delisted)
on conflict (market, source, ticker) do update
set
    name = coalesce(excluded.name, kept.name),
    kind = excluded.kind,
    exchange = coalesce(excluded.exchange, kept.exchange),
    last_seen = case when excluded.delisted_at is null then excluded.last_seen else kept.last_seen end,
    delisted_at = case when excluded.delisted_at is not null then coalesce(kept.delisted_at, kept.last_seen) end,
    became = case when excluded.delisted_at is not null then kept.became end
