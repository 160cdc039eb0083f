-- purpose: the newest load
select coalesce(max(load_id), 0) from load
