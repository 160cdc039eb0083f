-- purpose: the feeds without an end of living streams: their calendar, when ticks last arrived, and the newest tick
-- parameters: lease
select
    worker.name as stream, feed.key as source, worker.started_at, coalesce(feed.value ->> 'calendar', '24/7') as calendar,
    'epoch'::timestamptz + (feed.value ->> 'heard_at')::bigint * interval '1 microsecond' as heard_at,
    'epoch'::timestamptz + (feed.value ->> 'last_tick')::bigint * interval '1 microsecond' as last_tick
from stream_worker as worker, jsonb_each(worker.figures -> 'feeds') as feed
where worker.beat_at >= clock_timestamp() - %(lease)s
    and feed.value ->> 'state' = 'running' and coalesce((feed.value ->> 'live')::boolean, false)
order by 2, 1
