-- purpose: a stream ended
-- parameters: name
delete from stream_worker where name = %s
