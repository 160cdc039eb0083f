-- purpose: drop the ticks before a midnight, but none whose candles wait for a refresh
-- parameters: before
select hypertape.drop_ticks(%s)
