-- purpose: close holes whose bars arrived, or (not due) that are none any more
-- parameters: gap_ids, reasons (arrays), run_id, now
update gap
set closed_at = %(now)s, closed_run = %(run_id)s, closed_reason = given.reason
from unnest(%(gap_ids)s::bigint[], %(reasons)s::text[]) as given (gap_id, reason)
where gap.gap_id = given.gap_id
