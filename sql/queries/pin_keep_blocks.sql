-- purpose: keep what the bars of some series were like when they were pinned, and count the blocks
-- parameters: name, market, interval, known_at, tickers
with kept as (
    insert into pin_block (name, width, symbol, starts_at, bars, digest)
    select %(name)s, %(interval)s, ticker, starts_at, bars, digest
    from hypertape.pin_blocks(%(market)s, %(interval)s, %(known_at)s, %(tickers)s)
    returning bars
)
select count(*) from kept
