-- purpose: bring the whole buckets of a window of one rollup up to date (outside a transaction)
-- parameters: rollup as text, start, end
call hypertape.refresh_rollup(%s, %s, %s)
