-- purpose: give the lease of the refresh back
-- parameters: holder
update tick_state set refresh_until = '-infinity', refresh_holder = null where refresh_holder = %s
