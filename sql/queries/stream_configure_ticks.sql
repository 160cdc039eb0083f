-- purpose: the width of the chunks of ticks, and when they are compressed
-- parameters: chunk, compress after
select hypertape.configure_ticks(%s, %s)
