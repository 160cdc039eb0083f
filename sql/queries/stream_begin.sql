-- purpose: begin the transaction of a batch of ticks: it ends in time, may touch compressed chunks of any size, and keeps
-- drop_ticks out until it has committed. No parameters, so that it is one round trip.
begin;
set local statement_timeout = '60s';
set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0;
select pg_advisory_xact_lock_shared(hashtextextended('hypertape/ticks', 0))
