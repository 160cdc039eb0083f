#!/bin/sh
# Starts PgBouncer with pgbouncer.ini beside this file, for one server and one user from the environment:
# WAREHOUSE_HOST, WAREHOUSE_PORT, WAREHOUSE_NAME, WAREHOUSE_USER, WAREHOUSE_PASSWORD. RUN_DIR is where it writes.
set -eu
run="${RUN_DIR:-/tmp}"
umask 077
printf '"%s" "%s"\n' "$WAREHOUSE_USER" "$WAREHOUSE_PASSWORD" > "$run/userlist.txt"
cat "$(dirname "$0")/pgbouncer.ini" - > "$run/pgbouncer.ini" <<INI
listen_addr = ${LISTEN_ADDR:-0.0.0.0}
auth_file = $run/userlist.txt
[databases]
$WAREHOUSE_NAME = host=$WAREHOUSE_HOST port=$WAREHOUSE_PORT dbname=$WAREHOUSE_NAME
INI
exec "${PGBOUNCER:-pgbouncer}" "$run/pgbouncer.ini"
