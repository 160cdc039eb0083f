#!/bin/sh
# Runs once, when the server's volume is new: one database each for the warehouse and for Airflow, and who may use them,
# and a role that reads the server's statistics for the monitor.
# The warehouse has an owner (`hypertape schema apply`), a login of the writers (tasks) and one of the readers (the API):
# docs/roles.md. A superuser makes the two groups, because only owners refresh rollups, and the writer is lent the owner.
# The image has already created POSTGRES_DB with TimescaleDB in it.
set -eu

psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set warehouse="$POSTGRES_DB" --set warehouse_password="$HYPERTAPE_DB_PASSWORD" \
    --set writer_password="$HYPERTAPE_WRITER_PASSWORD" --set reader_password="$HYPERTAPE_READER_PASSWORD" \
    --set airflow_password="$AIRFLOW_DB_PASSWORD" --set monitor_password="$MONITOR_DB_PASSWORD" <<'SQL'
create role hypertape login password :'warehouse_password';
create role hypertape_writer nologin;
create role hypertape_reader nologin;
grant hypertape to hypertape_writer with inherit false;
create role hypertape_tasks login password :'writer_password' in role hypertape_writer;
create role hypertape_api login password :'reader_password' in role hypertape_reader;
alter database :"warehouse" owner to hypertape;
alter schema public owner to hypertape;
revoke all on database :"warehouse" from public;

create role airflow login password :'airflow_password';
create database airflow owner airflow template template0;
revoke all on database airflow from public;

create role hypertape_monitor login password :'monitor_password' connection limit 5 in role pg_monitor;
grant connect on database :"warehouse" to hypertape_monitor;
SQL
