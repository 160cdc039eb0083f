-- purpose: what feeds missed, newest first
-- parameters: source (null: all), closed (those too), limit
select gap_id, source, symbol, reason, start_time, end_time, last_sequence, first_sequence, opened_at, closed_at, closed_by
from feed_gap
where (%(source)s::text is null or source = %(source)s) and (%(closed)s or closed_at is null)
order by start_time desc, gap_id desc
limit %(limit)s
