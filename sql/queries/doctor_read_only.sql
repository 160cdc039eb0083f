-- purpose: whether the server is a standby, and whether transactions may write
select pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'
