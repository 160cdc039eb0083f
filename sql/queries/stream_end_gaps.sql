-- purpose: give the gaps an end that an earlier run of a feed left open when it was killed
-- parameters: end, source, before when they were opened
update feed_gap set end_time = greatest(%s, start_time)
where source = %s and opened_at < %s and end_time is null and closed_at is null
