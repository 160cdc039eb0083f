-- purpose: remove the notes that were delivered; one that was renewed meanwhile stays
-- parameters: mirror, market, interval; arrays tickers, note_ids
delete from mirror_outbox
using unnest(%(tickers)s::text[], %(note_ids)s::bigint[]) as delivered (ticker, note_id)
where
    mirror = %(mirror)s and market = %(market)s and interval = %(interval)s
    and mirror_outbox.ticker = delivered.ticker and mirror_outbox.note_id = delivered.note_id
