-- purpose: write bars with their indicators; a row that is there keeps its id and created_at
-- parameters: table, columns, holes, assignments
insert into {table} ({columns}) values ({holes}) on conflict (ticker, time) do update set {assignments}
