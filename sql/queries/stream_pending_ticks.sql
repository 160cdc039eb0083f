-- purpose: where ticks came since their rollups were refreshed
select note_id, first_time, last_time from tick_pending order by note_id limit 100000
