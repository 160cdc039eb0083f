-- purpose: streams that say, or said last, that ticks wait on their disk
-- parameters: lease
select
    name as stream, host, beat_at >= clock_timestamp() - %(lease)s as alive, beat_at,
    (figures #>> '{writer,spool_bytes}')::bigint as bytes, figures #>> '{writer,away}' as away
from stream_worker
where (figures #>> '{writer,spool_bytes}')::bigint > 0
order by name
