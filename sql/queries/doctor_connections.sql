-- purpose: how many connections the server has for those who are no superuser
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
