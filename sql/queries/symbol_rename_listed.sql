-- purpose: the same where tickers are listed: blocks of pins, open findings, open units of backfills; and the name's own past
-- parameters: market, old, new, on
with pins as (
    update pin_block set symbol = %(new)s from pin
    where pin.name = pin_block.name and pin.market = %(market)s and pin_block.symbol = %(old)s
),
findings as (
    update finding set tickers = array_replace(tickers, %(old)s, %(new)s)
    where market = %(market)s and closed_at is null and %(old)s = any(tickers)
),
units as (
    update backfill_unit as unit
    set
        tickers = array_replace(unit.tickers, %(old)s, %(new)s),
        open_tickers = array_replace(unit.open_tickers, %(old)s, %(new)s)
    from backfill
    where backfill.backfill_id = unit.backfill_id and backfill.market = %(market)s and %(old)s = any(unit.open_tickers)
),
earlier as (
    update symbol_alias set ticker = %(new)s where market = %(market)s and ticker = %(old)s
    returning vendor, valid_to
)
insert into symbol_alias (market, ticker, vendor, symbol, valid_from, valid_to)
select
    %(market)s, %(new)s, 'hypertape', %(old)s,
    coalesce((select max(valid_to) from earlier where vendor = 'hypertape' and valid_to < %(on)s), '-infinity'), %(on)s
