#!/bin/sh
# Runs once before the Airflow components: both schemas, the sign-in file and the monitor's key. Safe to run again.
set -eu

airflow db migrate
hypertape schema apply

# Airflow's simple auth manager reads {"user": "password"}; only this stack's components see the volume.
umask 077
python - <<'PYTHON'
import json, os, pathlib

target = pathlib.Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
target.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))
PYTHON

# The key that Prometheus reads the API with: made once, and the only thing on its volume.
key="${MONITOR_KEY_FILE:-/var/lib/hypertape-keys/prometheus.key}"
if [ ! -s "$key" ]; then
    umask 022 # Prometheus is another user
    hypertape keys create prometheus > "$key.new"
    mv "$key.new" "$key"
fi
