#!/bin/sh
# Starts PgBouncer with pgbouncer.ini beside this file, for a server and its writer and reader from the environment:
# WAREHOUSE_HOST, WAREHOUSE_PORT, WAREHOUSE_NAME; WRITER and READER with _PASSWORD. RUN_DIR is where it writes.
set -eu
run="${RUN_DIR:-/tmp}"
umask 077
printf '"%s" "%s"\n' "$WRITER" "$WRITER_PASSWORD" "$READER" "$READER_PASSWORD" > "$run/userlist.txt"
cat "$(dirname "$0")/pgbouncer.ini" - > "$run/pgbouncer.ini" <<INI
listen_addr = ${LISTEN_ADDR:-0.0.0.0}
auth_file = $run/userlist.txt
[databases]
$WAREHOUSE_NAME = host=$WAREHOUSE_HOST port=$WAREHOUSE_PORT dbname=$WAREHOUSE_NAME
INI
exec "${PGBOUNCER:-pgbouncer}" "$run/pgbouncer.ini"
