-- purpose: TimescaleDB's continuous aggregates, by schema and name
select view_schema, view_name from timescaledb_information.continuous_aggregates
