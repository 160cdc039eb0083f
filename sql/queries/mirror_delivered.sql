-- purpose: remove a note that was delivered; one that was renewed meanwhile stays
-- parameters: mirror, market, interval, ticker, note_id
delete from mirror_outbox
where mirror = %s and market = %s and interval = %s and ticker = %s and note_id = %s
