-- purpose: remove the notes that were delivered. One that was renewed meanwhile stays, and so does one that a load is
--   renewing: waiting for it could end in a deadlock with that load
-- parameters: mirror, market, interval; arrays tickers, note_ids
with taken as (
    select note_id
    from mirror_outbox
    where
        mirror = %(mirror)s and market = %(market)s and interval = %(interval)s and ticker = any(%(tickers)s)
        and note_id = any(%(note_ids)s)
    for update skip locked
)
delete from mirror_outbox
where
    mirror = %(mirror)s and market = %(market)s and interval = %(interval)s and ticker = any(%(tickers)s)
    and note_id in (select note_id from taken)
