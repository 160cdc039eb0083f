#!/bin/sh
# Runs once before the Airflow components: both schemas, and the sign-in file. Safe to run again.
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
