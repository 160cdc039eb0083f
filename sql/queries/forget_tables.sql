-- purpose: the tables that speak of series: those with the columns market, interval and ticker
select columns.table_name::text
from information_schema.columns
join information_schema.tables using (table_schema, table_name)
where columns.table_schema = 'public' and tables.table_type = 'BASE TABLE'
    and columns.column_name in ('market', 'interval', 'ticker')
group by columns.table_name
having count(*) = 3
order by 1
