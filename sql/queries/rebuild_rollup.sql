-- purpose: compute the whole buckets of a window of one rollup anew, whatever is known to have changed (outside a transaction)
-- parameters: rollup as text, start, end
call hypertape.rebuild_rollup(%s, %s, %s)
