-- purpose: the streams and what they say of themselves
select name, host, pid, started_at, beat_at, figures from stream_worker order by beat_at desc
