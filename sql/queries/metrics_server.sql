-- purpose: the database's size, the server's connections of clients and those it has for them, and messages that wait
-- parameters: none
select
    pg_database_size(current_database()) as bytes,
    (select coalesce(sum(numbackends), 0)::int from pg_stat_database) as connections,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as allowed,
    (select count(*) from message where sent_at is null) as messages
