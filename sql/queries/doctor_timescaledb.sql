-- purpose: the TimescaleDB version, null without it
select (select extversion from pg_extension where extname = 'timescaledb')
