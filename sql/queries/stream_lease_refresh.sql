-- purpose: take or extend the lease of the refresh, where nobody else holds it
-- parameters: holder, lease
update tick_state set refresh_holder = %(holder)s, refresh_until = clock_timestamp() + %(lease)s
where refresh_holder is not distinct from %(holder)s or refresh_until < clock_timestamp()
