-- purpose: keep what a Stockula file holds of the vendor's answers about its stocks
-- parameters: arrays of symbol, info, created_at, updated_at
insert into stock_info as kept (symbol, info, created_at, updated_at)
select * from unnest(%s::text[], %s::jsonb[], %s::timestamptz[], %s::timestamptz[]) as given
on conflict (symbol) do update
set info = excluded.info, updated_at = excluded.updated_at
where (kept.info, kept.updated_at) is distinct from (excluded.info, excluded.updated_at)
returning (xmax = 0) as inserted
