-- purpose: note what a load of a unit did, and which tickers it left open
-- parameters: backfill_id, unit, state, open_tickers, inserted, updated, unchanged, quarantined, error
update backfill_unit
set
    state = %(state)s, open_tickers = %(open_tickers)s, inserted = inserted + %(inserted)s,
    updated = updated + %(updated)s, unchanged = unchanged + %(unchanged)s, quarantined = quarantined + %(quarantined)s,
    error = %(error)s, updated_at = clock_timestamp()
where backfill_id = %(backfill_id)s and unit = %(unit)s
