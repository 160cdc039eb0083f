-- purpose: close the `load` rows of a batch with their counts, as the last thing before the commit
-- parameters: arrays of load_id, inserted, updated, recomputed, unchanged, quarantined, flagged, first_changed, last_changed;
--   seconds (each one's share)
with known as materialized (select hypertape.known_from() as since)
update load
set
    inserted = done.inserted, updated = done.updated, recomputed = done.recomputed, unchanged = done.unchanged,
    quarantined = done.quarantined, flagged = done.flagged, first_changed = done.first_changed, last_changed = done.last_changed,
    seconds = %(seconds)s, loaded_at = known.since
from known, unnest(
    %(load_id)s::bigint[], %(inserted)s::bigint[], %(updated)s::bigint[], %(recomputed)s::bigint[],
    %(unchanged)s::bigint[], %(quarantined)s::bigint[], %(flagged)s::bigint[], %(first_changed)s::timestamptz[],
    %(last_changed)s::timestamptz[]
) as done (load_id, inserted, updated, recomputed, unchanged, quarantined, flagged, first_changed, last_changed)
where load.load_id = done.load_id
