-- purpose: keep the `market` table in step with the registry
-- parameters: market, table_name, title, timezone, calendar
insert into market (market, table_name, title, timezone, calendar)
values (%s, %s, %s, %s, %s)
on conflict (market) do update
set table_name = excluded.table_name, title = excluded.title, timezone = excluded.timezone, calendar = excluded.calendar
where (market.table_name, market.title, market.timezone, market.calendar)
    is distinct from (excluded.table_name, excluded.title, excluded.timezone, excluded.calendar)
