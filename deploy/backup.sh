#!/bin/sh
# A backup a day, proven by a restore into a scratch database, and old ones removed: what the DAG maintain_warehouse does,
# for an owner that no task of Airflow is. With `once` it ends after the first, with what that ended with.
set -u
while :; do
    hypertape backup create && hypertape backup verify && hypertape backup prune
    ended=$?
    [ "${1:-}" = once ] && exit "$ended"
    sleep "${BACKUP_EVERY:-86400}"
done
