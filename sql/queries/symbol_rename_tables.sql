-- purpose: the tables that speak of tickers of a market, but for vendors' own lists and what is about names
-- parameters: none
select columns.table_name::text
from information_schema.columns
join information_schema.tables using (table_schema, table_name)
where columns.table_schema = 'public' and tables.table_type = 'BASE TABLE'
    and columns.column_name in ('market', 'ticker')
    and columns.table_name not in ('symbol_alias', 'listing', 'listing_event')
group by columns.table_name
having count(*) = 2
order by 1
