-- purpose: pins a session's settings; behind a pooler (the server's process is not the one the client was told of) only
-- those that it keeps per client. Says whether there is a pooler and what held before; a search_path from when the schema
-- is there
-- parameters: pid (what the client was told), names and values (arrays of one length), kept (array of names)
with wanted as materialized (
    select name, value, current_setting(name) as held, pg_backend_pid() <> %(pid)s as pooled
    from unnest(%(names)s::text[], %(values)s::text[]) as wanted (name, value)
),
pinned as materialized (
    select
        name, pooled, held,
        case when not pooled or name = any (%(kept)s) then set_config(name, value, false) end as done
    from wanted
)
select
    bool_or(pooled),
    jsonb_object_agg(name, held) filter (where name <> 'search_path' or to_regnamespace('bars') is not null)
from pinned
