-- purpose: the ranges whose rollups are older than their bars
-- parameters: market, interval
select load_id, first_changed, last_changed from rollup_pending where market = %s and interval = %s
