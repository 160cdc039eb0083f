-- purpose: before when ticks are gone, null where none were dropped
select nullif(dropped_before, '-infinity') from tick_state
