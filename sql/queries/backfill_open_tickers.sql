-- purpose: the tickers of a unit that are not loaded yet
-- parameters: backfill_id, unit
select open_tickers from backfill_unit where backfill_id = %(backfill_id)s and unit = %(unit)s
