-- purpose: end the segment that is being written, so that it is archived; its name
select pg_walfile_name(pg_switch_wal())
