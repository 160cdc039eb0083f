"""Import this before anything of Airflow: a home of its own for the test process, no examples, no leftovers."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DAGS = REPOSITORY / "dags"

if "HYPERTAPE_TEST_AIRFLOW_HOME" not in os.environ:
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW"))]:
        del os.environ[name]
    home = tempfile.mkdtemp(prefix="hypertape-test-airflow-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {
        "HYPERTAPE_TEST_AIRFLOW_HOME": home,
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
