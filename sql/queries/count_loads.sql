-- purpose: close the `load` rows of a batch with their counts, as the last thing before the commit
-- parameters: arrays of load_id, inserted, updated, recomputed, unchanged, quarantined, flagged, first_changed, last_changed, seconds
with known as materialized (select hypertape.known_from() as since)
update load
set
    inserted = done.inserted, updated = done.updated, recomputed = done.recomputed, unchanged = done.unchanged,
    quarantined = done.quarantined, flagged = done.flagged, first_changed = done.first_changed, last_changed = done.last_changed,
    seconds = done.seconds, loaded_at = known.since
from known, unnest(
    %s::bigint[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[], %s::timestamptz[],
    %s::timestamptz[], %s::float8[]
) as done (load_id, inserted, updated, recomputed, unchanged, quarantined, flagged, first_changed, last_changed, seconds)
where load.load_id = done.load_id
