-- purpose: let TimescaleDB work again after a restore
select public.timescaledb_post_restore()
