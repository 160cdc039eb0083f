-- purpose: stop what TimescaleDB does by itself, so that its catalog can be restored
select public.timescaledb_pre_restore()
