-- purpose: refresh one level of the candles over whole buckets, as far as raw ticks cover them; outside a transaction
-- parameters: relation as text, start, end
call hypertape.refresh_tick_rollup(%s, %s, %s)
