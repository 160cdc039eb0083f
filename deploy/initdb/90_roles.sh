#!/bin/sh
# Runs once, when the server's volume is new: one role and one database each for the warehouse and for Airflow, and a role
# that reads the server's statistics for the monitor.
# The image has already created POSTGRES_DB with TimescaleDB in it.
set -eu

psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set warehouse="$POSTGRES_DB" --set warehouse_password="$HYPERTAPE_DB_PASSWORD" \
    --set airflow_password="$AIRFLOW_DB_PASSWORD" --set monitor_password="$MONITOR_DB_PASSWORD" <<'SQL'
create role hypertape login password :'warehouse_password';
alter database :"warehouse" owner to hypertape;
alter schema public owner to hypertape;
revoke all on database :"warehouse" from public;

create role airflow login password :'airflow_password';
create database airflow owner airflow template template0;
revoke all on database airflow from public;

create role hypertape_monitor login password :'monitor_password' connection limit 5 in role pg_monitor;
grant connect on database :"warehouse" to hypertape_monitor;
SQL
